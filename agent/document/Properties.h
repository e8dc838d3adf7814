#pragma once

#include "agent/model/PipelineSpec.h"

#include <Poco/AutoPtr.h>
#include <Poco/Util/LayeredConfiguration.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// What the operator said: a file of properties and, before it, `-D key=value`. It knows no key; each
/// that was said has a place, to be named where it is wrong.
class Properties
{
public:
    /// `file`: empty for none; read as properties whatever its name ends with.
    /// Errors: added to `problems` (an unreadable file, lines other than `key = value`), to which the object
    /// keeps a reference.
    Properties(const std::filesystem::path& file, const std::vector<std::string>& definitions,
               std::vector<Problem>& problems);

    /// Returns the trimmed value with its `${…}` replaced; nullopt if not set.
    [[nodiscard]] std::optional<std::string> said(const std::string& key) const;

    /// Every key that was said, known or not.
    [[nodiscard]] std::vector<std::string> keys() const;

    /// Said by the file, and not by a `-D` that goes before it.
    [[nodiscard]] bool isOfTheFile(const std::string& key) const;

    /// `message` with the place of the key.
    [[nodiscard]] Problem problem(const std::string& key, const std::string& message) const;
    void complain(const std::string& key, const std::string& message) const;

private:
    struct Place
    {
        std::string file; ///< or `-D`
        int line = 0;
    };

    void readFile(const std::filesystem::path& file);
    void findKeys(const std::string& text, const std::string& file);
    void define(const std::string& definition);

    std::vector<Problem>& _problems;
    std::map<std::string, Place> _places;
    Poco::AutoPtr<Poco::Util::LayeredConfiguration> _values;
};

} // namespace agent
