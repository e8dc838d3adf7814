#pragma once

#include "agent/model/SecretEncodings.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

/// The masker's contract in its plainest form: the whole text at once, every form looked for at every byte, in the text
/// and in the text without its breaks (agent/model/WrappedText.h).
class NaiveMasker
{
public:
    explicit NaiveMasker(const std::vector<std::string>& secrets)
    {
        for (const std::string& secret : secrets)
            for (std::string& form : agent::secretEncodings(secret))
                _forms.push_back(std::move(form));
    }

    [[nodiscard]] std::string mask(std::string_view text) const
    {
        const std::vector<bool> covered = coverage(text);
        std::string out;
        for (std::size_t i = 0; i < text.size(); ++i)
        {
            if (!covered[i])
                out += text[i];
            else if (i == 0 || !covered[i - 1])
                out += "***";
        }
        return out;
    }

    /// How many bytes at the end of `text` can't be decided yet.
    [[nodiscard]] std::size_t undecided(std::string_view text) const
    {
        const Joined joined(text, true);
        std::size_t begin = std::min(undecidedFrom(text), text.size());
        if (const std::size_t at = undecidedFrom(joined.text); at < joined.text.size())
            begin = std::min(begin, joined.origins[at]);
        std::vector<bool> covered = coverage(text);
        while (begin < text.size() && covered[begin])
            ++begin;
        return text.size() - begin;
    }

    [[nodiscard]] const std::vector<std::string>& forms() const { return _forms; }

private:
    /// A text without its breaks. `unfinished`: what follows a break at its end may still be known.
    struct Joined
    {
        explicit Joined(std::string_view from, bool unfinished = false)
        {
            for (std::size_t at = 0; at < from.size();)
            {
                const char kind = breakAt(from, at);
                const std::size_t end =
                    kind == 'n' ? at + 1
                                : std::min(from.find_first_not_of("\r\n \t", at), from.size());
                if (constexpr std::size_t most = 256; kind != 'n' && end - at > most)
                {
                    for (const std::size_t next = at + most + 1; at < next; ++at)
                        add(from[at], at);
                    continue;
                }
                if (kind == 'n')
                    add(from[at], at);
                else if (kind == 'b' && !(unfinished && end == from.size()))
                    add(' ', end - 1);
                at = end;
            }
        }

        static char breakAt(std::string_view text, std::size_t at)
        {
            constexpr std::size_t most = 24;
            if ((text[at] != '\n' && text[at] != '\r') || at < most)
                return 'n';
            const std::string_view before = text.substr(at - most, most);
            const bool base64 =
                before.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789+/-_") == before.npos;
            if (!base64 && before.find_first_not_of("0123456789abcdefABCDEF :-") != before.npos)
                return 'n';
            return before.find(' ') != before.npos && before.back() != ' ' && before.back() != ':'
                       ? 'b'
                       : 'w';
        }

        void add(char c, std::size_t origin)
        {
            text += c;
            origins.push_back(origin);
        }

        std::string text;
        std::vector<std::size_t> origins;
    };

    [[nodiscard]] std::size_t undecidedFrom(std::string_view text) const
    {
        std::size_t begin = 0;
        while (begin < text.size() && !isBeginning(text.substr(begin)))
            ++begin;
        return begin;
    }

    [[nodiscard]] bool isBeginning(std::string_view text) const
    {
        for (const std::string& form : _forms)
            if (form.size() > text.size() && form.starts_with(text))
                return true;
        return false;
    }

    [[nodiscard]] std::vector<bool> coverage(std::string_view text) const
    {
        std::vector<bool> covered(text.size());
        const Joined joined(text);
        for (const std::string& form : _forms)
        {
            for (std::size_t at = text.find(form); at != text.npos; at = text.find(form, at + 1))
                for (std::size_t i = 0; i < form.size(); ++i)
                    covered[at + i] = true;
            for (std::size_t at = joined.text.find(form); at != joined.text.npos;
                 at = joined.text.find(form, at + 1))
                for (std::size_t i = 0; i < form.size(); ++i)
                    covered[joined.origins[at + i]] = true;
        }
        return covered;
    }

    std::vector<std::string> _forms;
};
