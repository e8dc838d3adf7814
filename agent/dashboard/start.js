// Loads the program after the first paint, which the requests for its twenty files would delay.
function start() {
    const template = document.getElementById('program');
    const program = template.content.cloneNode(true);
    // Execute in document order, as scripts of the page would.
    for (const script of program.querySelectorAll('script'))
        script.async = false;
    document.head.append(program);
    template.remove();
}

// A hidden page gets no animation frame; the timeout starts it anyway.
const begun = new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done));
    setTimeout(done, 300);
});
begun.then(start);
