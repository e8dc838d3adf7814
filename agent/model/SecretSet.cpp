#include "agent/model/SecretSet.h"

#include "agent/model/SecretEncodings.h"

#include <algorithm>
#include <stdexcept>

namespace agent
{

void SecretSet::add(std::string_view secret)
{
    if (secret.size() < shortestSecret)
        throw std::invalid_argument("a secret of fewer than 4 bytes can't be masked");
    _added.emplace_back(secret);
    _empty = false;
}

void SecretSet::prepare()
{
    for (const std::string& secret : _added)
        for (const std::string& form : secretEncodings(secret))
            addForm(form);
    _added.clear();
}

void SecretSet::addForm(std::string_view form)
{
    static_assert(ShortGramFilter::reach == shortestSecret);
    const std::size_t known = _automaton.add(form);
    _breaks.add(form, mostReach - 1, known);
    if (form.size() < GramFilter::shortest)
        _short.add(form);
    else if (known <
             GramFilter::reach) // else it begins like another one, whose grams find it as well
        _filter.add(form);
}

template <typename Filter>
std::size_t SecretSet::Search::nextOf(const Filter& filter, TextRange& range,
                                      std::size_t from) const
{
    if (from >= range.end && range.end < _text.size())
        range = filter.next(_text, from);
    return std::max(range.begin, from);
}

std::size_t SecretSet::Search::next(std::size_t from)
{
    return std::min(nextOf(_set._filter, _range, from), nextOf(_set._short, _shortRange, from));
}

} // namespace agent
