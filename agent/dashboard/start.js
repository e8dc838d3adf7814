// The page stands before its program comes: twenty files that arrive meanwhile hold up the first paint.
function start() {
    const template = document.getElementById('program');
    const program = template.content.cloneNode(true);
    // Run in the order they stand in, as scripts of the page would.
    for (const script of program.querySelectorAll('script'))
        script.async = false;
    document.head.append(program);
    template.remove();
}

// A page that nobody looks at gets no frame, and is to be there all the same.
const begun = new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done));
    setTimeout(done, 300);
});
begun.then(start);
