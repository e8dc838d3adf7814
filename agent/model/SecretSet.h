#pragma once

#include "agent/model/BreakFilter.h"
#include "agent/model/GramFilter.h"
#include "agent/model/PatternAutomaton.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// The secrets that the Maskers of one stage look for, each in all its forms (see SecretEncodings.h).
///
/// Two parts look for them. The filters tell for nearly all of a text, at several GB/s, that no form begins
/// there; the automaton walks over the rest. Long forms are found by few looks at long grams, which occur
/// nowhere else in a log of any kind; forms of fewer than seven bytes take a look at each byte, and cost nothing
/// where there are none.
///
/// Nothing is encoded before the first stream asks, which a stage's shim does when its command already runs.
///
/// Threads: none of its own; a set and its Maskers belong to one thread.
class SecretSet
{
public:
    /// Of a form of which so many bytes stand in a row, at its beginning, Search finds the beginning.
    static constexpr std::size_t mostReach = GramFilter::reach;

    /// Adds a secret.
    /// Errors: std::invalid_argument for fewer than `shortestSecret` bytes; nothing changed then.
    void add(std::string_view secret);

    /// Encodes what was added. To be called before the automaton or a Search is used.
    void prepare();

    [[nodiscard]] bool empty() const { return _empty; }
    [[nodiscard]] PatternAutomaton& automaton() { return _automaton; }

    /// Returns false where no form goes on over a break of a text of which fewer than `mostReach` bytes stand before it: see
    /// BreakFilter.
    [[nodiscard]] bool mayReachOver(const char* before, const char* behind) const
    {
        return _breaks.mayGoOn(before, behind);
    }

    /// A look for beginnings in one text.
    class Search
    {
    public:
        Search(const SecretSet& set, std::string_view text) : _set(set), _text(text) {}

        /// Returns the first position from `from` on where a form may begin; the text's size where there
        /// is none. `from` does not get smaller between calls.
        [[nodiscard]] std::size_t next(std::size_t from);

    private:
        template <typename Filter>
        std::size_t nextOf(const Filter& filter, TextRange& range, std::size_t from) const;

        const SecretSet& _set;
        std::string_view _text;
        TextRange _range;
        TextRange _shortRange;
    };

private:
    void addForm(std::string_view form);

    bool _empty = true;
    std::vector<std::string> _added; ///< not yet encoded
    PatternAutomaton _automaton;
    GramFilter _filter;
    ShortGramFilter _short;
    BreakFilter _breaks;
};

} // namespace agent
