module.exports = (text) => text.split(/\s+/).filter(Boolean).length;
