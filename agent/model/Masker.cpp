#include "agent/model/Masker.h"

#include <algorithm>

namespace agent
{

namespace
{

constexpr std::string_view mask = "***";

/// Bounds the list of covers, whatever the size of what is fed.
constexpr std::size_t sliceSize = 65536;

} // namespace

Masker::Masker(const std::vector<std::string>& secrets)
    : _own(std::make_unique<SecretSet>()), _secrets(_own.get())
{
    for (const std::string& secret : secrets)
        _secrets->add(secret);
}

void Masker::scan(std::string_view in)
{
    PatternAutomaton& automaton = _secrets->automaton();
    SecretSet::Search search(*_secrets, in);
    PatternAutomaton::State state = _state;
    std::size_t asked = 0; // where occurrences begin that the walk is after
    for (std::size_t at = 0; at < in.size();)
    {
        // No occurrence that goes on here begins before the state's bytes do. When it can't begin in any of
        // these either, all up to the next possible beginning is passed over.
        if (at >= asked + state.depth)
        {
            asked = search.next(at - state.depth);
            if (asked >= at)
            {
                state = {};
                at = asked;
                if (at == in.size())
                    break;
            }
            asked = std::max(asked, at - state.depth + 1);
        }
        at += automaton.follow(state, in.substr(at));
        if (at == in.size())
            break;
        const std::size_t matched = automaton.step(state, in[at++]);
        if (matched > 0)
            cover(_at + at - matched, _at + at);
    }
    _state = state;
    _at += in.size();
}

void Masker::cover(std::uint64_t begin, std::uint64_t end)
{
    while (!_covers.empty() && _covers.back().end >= begin)
    {
        begin = std::min(begin, _covers.back().begin);
        _covers.pop_back();
    }
    _covers.push_back({.begin = begin, .end = end});
}

void Masker::feed(std::string_view in, std::string& out)
{
    TextPieces pieces;
    feed(in, pieces);
    pieces.appendTo(out);
}

void Masker::feed(std::string_view in, TextPieces& out)
{
    if (_secrets->empty())
        return out.borrow(in);
    _secrets->prepare();
    _secrets->automaton().restore(_state);
    while (!in.empty())
    {
        const std::string_view slice = in.substr(0, sliceSize);
        scan(slice);
        release(_at - _secrets->automaton().unfinished(_state), slice, out);
        in.remove_prefix(slice.size());
    }
}

void Masker::flush(std::string& out)
{
    TextPieces pieces;
    release(_at, {}, pieces);
    pieces.appendTo(out);
    _state = {};
    _maskedTo = 0;
}

/// Appends all before `limit`, where the earliest occurrence that is not yet complete begins, and the run
/// of covered bytes that lies there or continues the last one: it can't begin earlier any more.
void Masker::release(std::uint64_t limit, std::string_view in, TextPieces& out)
{
    const std::uint64_t before = _decided;
    std::size_t done = 0;
    for (; done < _covers.size() && _covers[done].begin <= std::max(limit, _maskedTo); ++done)
    {
        const Cover& run = _covers[done];
        pass(run.begin, in, out);
        if (run.begin > _maskedTo)
            out.copy(mask);
        _maskedTo = run.end;
        _decided = std::max(_decided, run.end);
    }
    _covers.erase(_covers.begin(), _covers.begin() + static_cast<std::ptrdiff_t>(done));
    pass(limit, in, out);

    _held.erase(0, static_cast<std::size_t>(_decided - before));
    const auto rest = static_cast<std::size_t>(_at - _decided) - _held.size();
    _held.append(in.substr(in.size() - rest));
}

/// Appends the bytes from _decided to `end` unchanged; those that are held come before `in`.
void Masker::pass(std::uint64_t end, std::string_view in, TextPieces& out)
{
    if (end <= _decided)
        return;
    const std::uint64_t inBegin = _at - in.size();
    const std::uint64_t heldEnd = std::min(end, inBegin);
    if (_decided < heldEnd)
    {
        const auto back = static_cast<std::size_t>(inBegin - _decided);
        out.copy(std::string_view(_held).substr(_held.size() - back,
                                                static_cast<std::size_t>(heldEnd - _decided)));
        _decided = heldEnd;
    }
    if (_decided == end)
        return;
    out.borrow(in.substr(static_cast<std::size_t>(_decided - inBegin),
                         static_cast<std::size_t>(end - _decided)));
    _decided = end;
}

} // namespace agent
