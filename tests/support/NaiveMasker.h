#pragma once

#include "agent/model/SecretEncodings.h"

#include <string>
#include <string_view>
#include <vector>

/// The masker's contract in its plainest form: the whole text at once, every form looked for at every byte.
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
        std::size_t begin = 0;
        while (begin < text.size() && !isBeginning(text.substr(begin)))
            ++begin;
        std::vector<bool> covered = coverage(text);
        while (begin < text.size() && covered[begin])
            ++begin;
        return text.size() - begin;
    }

    [[nodiscard]] const std::vector<std::string>& forms() const { return _forms; }

private:
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
        for (const std::string& form : _forms)
            for (std::size_t at = text.find(form); at != text.npos; at = text.find(form, at + 1))
                for (std::size_t i = 0; i < form.size(); ++i)
                    covered[at + i] = true;
        return covered;
    }

    std::vector<std::string> _forms;
};
