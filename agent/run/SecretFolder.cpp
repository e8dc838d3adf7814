#include "agent/run/SecretFolder.h"

#include "agent/model/Masker.h"
#include "agent/model/SecretEncodings.h"
#include "agent/run/RefusedVariables.h"
#include "agent/run/SmallFile.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace agent
{

namespace
{

constexpr std::size_t secretLimit = 64UL << 10;

} // namespace

/// The values of each secret, oldest first.
struct SecretFolder::History
{
    std::mutex mutex;
    std::map<std::string, std::deque<std::string>> values;
    SecretMemory memory;

    /// The mutex is held. The value is the newest then; returns whether it was not before.
    bool remember(const std::string& name, const std::string& value)
    {
        auto& known = values[name];
        if (!known.empty() && known.back() == value)
            return false;
        if (const auto same = std::find(known.begin(), known.end(), value); same != known.end())
            known.erase(same);
        known.push_back(value);
        if (known.size() > mostValues)
            known.pop_front();
        return true;
    }

    /// The mutex is held.
    void replaceMemory() const
    {
        std::vector<SecretMemory::Value> all;
        for (const auto& [name, known] : values)
            for (const std::string& value : known)
                all.emplace_back(name, value);
        memory.replace(all);
    }
};

SecretFolder::SecretFolder(std::filesystem::path path)
    : _path(std::move(path)), _history(std::make_shared<History>())
{
}

void SecretFolder::rememberIn(SecretMemory memory) const
{
    const std::lock_guard lock(_history->mutex);
    _history->memory = std::move(memory);
    for (const auto& [name, value] : _history->memory.values())
        if (value.size() >= shortestSecret)
            _history->remember(name, value);
    _history->replaceMemory();
}

Secrets SecretFolder::ofStage(const std::vector<std::string>& given,
                              const std::vector<std::string>& all) const
{
    Secrets secrets = readSecrets(given, _path);
    {
        // values() reads the files again, and may find others.
        const std::lock_guard lock(_history->mutex);
        for (const auto& secret : secrets)
            if (_history->remember(secret.first, secret.second))
                _history->memory.add(secret);
    }
    std::vector<std::string> names = given;
    names.insert(names.end(), all.begin(), all.end());
    for (std::string& value : values(names))
        if (std::none_of(secrets.begin(), secrets.end(),
                         [&](const auto& secret) { return secret.second == value; }))
            secrets.emplace_back("", std::move(value));
    return secrets;
}

std::vector<std::string> SecretFolder::values(const std::vector<std::string>& names) const
{
    std::vector<std::string> found;
    for (const std::string& name : names)
    {
        Secrets now;
        try
        {
            now = readSecrets({name}, _path);
        }
        catch (const std::runtime_error&)
        {
            now.clear(); // no stage can be launched with it; what it was before counts
        }
        const std::lock_guard lock(_history->mutex);
        for (const auto& value : now)
            if (_history->remember(name, value.second))
                _history->memory.add(value);
        if (_history->memory.large())
            _history->replaceMemory();
        const auto known = _history->values.find(name);
        if (known != _history->values.end())
            found.insert(found.end(), known->second.begin(), known->second.end());
    }
    return found;
}

Secrets readSecrets(const std::vector<std::string>& names, const std::filesystem::path& folder)
{
    Secrets secrets;
    for (const auto& name : names)
    {
        try
        {
            if (steersTheProcess(name))
                throw std::runtime_error("a secret of this name would choose what programs load");
            std::string value = readSmallFile(folder / name, secretLimit, FileMode::Private);
            if (!value.empty() && value.back() == '\n')
                value.pop_back();
            if (value.find('\0') != std::string::npos)
                throw std::runtime_error("holds a NUL");
            if (value.size() < shortestSecret)
                throw std::runtime_error("shorter than " + std::to_string(shortestSecret) +
                                         " characters, so it can't be masked in logs");
            secrets.emplace_back(name, std::move(value));
        }
        catch (const std::runtime_error& error)
        {
            throw std::runtime_error("secret '" + name + "' (" + (folder / name).string() +
                                     "): " + error.what());
        }
    }
    return secrets;
}

std::vector<std::string> doubtfulSecrets(const std::vector<std::string>& names,
                                         const std::filesystem::path& folder)
{
    std::vector<std::string> lines;
    for (const auto& name : names)
    {
        try
        {
            const Secrets secret = readSecrets({name}, folder);
            if (mayBeAWord(secret.front().second))
                lines.push_back("secret '" + name + "' (" + (folder / name).string() +
                                ") is short and of one kind of characters: logs have *** wherever "
                                "the same stands in other words; take one of 8 characters or more");
        }
        catch (const std::runtime_error&)
        {
            continue; // told when a stage needs it
        }
    }
    return lines;
}

std::string masked(const std::string& text, const std::vector<std::string>& names,
                   const SecretFolder& secrets)
{
    if (text.size() < shortestSecret)
        return text;
    std::string result;
    Masker masker(secrets.values(names));
    masker.feed(text, result);
    masker.flush(result);
    return result;
}

} // namespace agent
