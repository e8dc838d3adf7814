#include "agent/model/Masker.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace agent
{

namespace
{

constexpr std::string_view mask = "***";

/// Where less of a form stands in a row than that, the filters may pass it over.
constexpr std::size_t filterReach = SecretSet::mostReach;

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
        if (state.depth >= filterReach && (in[at] == '\n' || in[at] == '\r'))
            _walkedEnds.push_back({.at = _at + at, .state = state});
        const std::size_t matched = automaton.step(state, in[at++]);
        if (matched > 0)
            cover(_at + at - matched, _at + at);
    }
    _state = state;
    _at += in.size();
}

/// The stream as it is, then what may go on over a break in it.
void Masker::scanLines(std::string_view in)
{
    const std::uint64_t begin = _at;
    _walkedEnds.clear();
    scan(in);
    auto known = _walkedEnds.begin();
    _ends.find(in);
    _ends.keepBreaks(in);
    std::size_t done = 0;
    for (const std::size_t at : _ends)
    {
        while (known != _walkedEnds.end() && known->at < begin + at)
            ++known;
        const bool walked = known != _walkedEnds.end() && known->at == begin + at;
        const bool goesOn = _wrapped.depth > 0;
        if (!goesOn && !walked && !mayReachOver(in, at))
            continue;
        const WrappedText::Kind kind = _text.kindAt(in, at);
        if (kind == WrappedText::Kind::None)
            continue;
        if (goesOn)
            scanWrapped(in.substr(done, at - done), begin + done);
        done = at;
        if (_text.open())
            continue; // it belongs to the break before it
        if (_wrapped.depth == 0 && walked)
            _wrapped = known->state;
        else if (_wrapped.depth == 0 && (!goesOn || mayReachOver(in, at)))
            for (std::size_t back = filterReach - 1; back > 0; --back)
                _secrets->automaton().step(_wrapped, _text.before(in, at, back));
        if (_wrapped.depth == 0)
            continue;
        _text.forget(_text.beginOf(begin + at, _wrapped.depth));
        _text.begin(begin + at, kind);
    }
    scanWrapped(in.substr(done), begin + done);
    _text.passed(in);
}

/// Returns false where no form begins in the last bytes before the break and goes on behind it. One of which more stands
/// there than the filters need is known: the walk over the stream as it is comes by.
bool Masker::mayReachOver(std::string_view in, std::size_t at) const
{
    std::size_t next = at;
    while (next < in.size() && WrappedText::continues(in[next]))
        ++next;
    if (in.size() - next < BreakFilter::looked)
        return true; // not known yet
    if (at >= BreakFilter::looked)
        return _secrets->mayReachOver(in.data() + at, in.data() + next);
    std::array<char, BreakFilter::looked> before;
    for (std::size_t back = 1; back <= before.size(); ++back)
        before[before.size() - back] = _text.before(in, at, back);
    return _secrets->mayReachOver(before.data() + before.size(), in.data() + next);
}

/// `begin`: where `in` begins in the stream.
void Masker::scanWrapped(std::string_view in, std::uint64_t begin)
{
    for (std::size_t i = 0; i < in.size() && _wrapped.depth > 0; ++i)
    {
        if (_text.open())
        {
            if (WrappedText::continues(in[i]))
            {
                // All from the first byte before the break on is held: it must end some time.
                if (_text.tooLong(begin + i + 1))
                {
                    _text.giveUp();
                    _wrapped = {};
                }
                continue;
            }
            const bool blank = _text.kind() == WrappedText::Kind::Blank;
            _text.end(begin + i);
            if (blank)
                stepWrapped(' ', begin + i);
        }
        if (_wrapped.depth > 0)
            stepWrapped(in[i], begin + i + 1);
    }
}

void Masker::stepWrapped(char byte, std::uint64_t end)
{
    const std::size_t matched = _secrets->automaton().step(_wrapped, byte);
    if (matched > 0)
        _text.forEachPart(end, matched,
                          [this](std::uint64_t from, std::uint64_t to) { cover(from, to); });
    if (!_text.reachesOver(end, _wrapped.depth))
        _wrapped = {};
}

/// Where the earliest occurrence begins that is not yet complete.
std::uint64_t Masker::unfinishedFrom()
{
    const PatternAutomaton& automaton = _secrets->automaton();
    const std::uint64_t from = _at - automaton.unfinished(_state);
    _mayShow = from == _at && _text.open() && _wrapped.depth < filterReach;
    const std::size_t wrapped = _wrapped.depth > 0 ? automaton.unfinished(_wrapped) : 0;
    return wrapped > 0 ? std::min(from, _text.beginOf(_at, wrapped)) : from;
}

void Masker::cover(std::uint64_t begin, std::uint64_t end)
{
    // Those of a text without its breaks come later than others behind them.
    auto at = _covers.end();
    while (at != _covers.begin() && std::prev(at)->end >= begin)
        --at;
    auto after = at;
    for (; after != _covers.end() && after->begin <= end; ++after)
    {
        begin = std::min(begin, after->begin);
        end = std::max(end, after->end);
    }
    _covers.insert(_covers.erase(at, after), {.begin = begin, .end = end});
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
    _secrets->automaton().restore(_wrapped);
    while (!in.empty())
    {
        const std::string_view slice = in.substr(0, sliceSize);
        scanLines(slice);
        release(unfinishedFrom(), slice, out);
        in.remove_prefix(slice.size());
    }
}

bool Masker::showable() const
{
    return !_held.empty() && _mayShow;
}

void Masker::show(std::string& out)
{
    if (!showable())
        return;
    TextPieces pieces;
    release(_at, {}, pieces);
    pieces.appendTo(out);
}

void Masker::flush(std::string& out)
{
    TextPieces pieces;
    release(_at, {}, pieces);
    pieces.appendTo(out);
    _state = {};
    _wrapped = {};
    _text = {};
    _maskedTo = 0;
    _mayShow = false;
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
        // What was shown already gets no mask afterwards.
        if (run.begin > _maskedTo && run.end > _decided)
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
