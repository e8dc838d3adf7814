#include "agent/document/DocumentBuilder.h"
#include "agent/document/DocumentText.h"

#include <sstream>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace agent
{

namespace
{

using Kind = DocumentNode::Kind;

class YamlEvents: public YAML::EventHandler
{
public:
    YamlEvents(DocumentBuilder& tree, bool columns) : _tree(tree), _columns(columns) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        _tree.scalar(Kind::Null, "", placeOf(mark), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        _tree.alias(anchor, placeOf(mark));
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override
    {
        Kind kind = Kind::String;
        if (tag == "?") // yaml-cpp's word for a plain scalar; a quoted one has "!"
        {
            if (value == "true" || value == "false")
                kind = Kind::Boolean;
            else if (isJsonNumber(value))
                kind = Kind::Number;
        }
        else if (tag != "!" && tag != "tag:yaml.org,2002:str")
            refuseTag(mark);
        _tree.scalar(kind, value, placeOf(mark), anchor);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        begin(Kind::List, "tag:yaml.org,2002:seq", mark, tag, anchor);
    }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        begin(Kind::Map, "tag:yaml.org,2002:map", mark, tag, anchor);
    }

    void OnSequenceEnd() override { _tree.end(); }
    void OnMapEnd() override { _tree.end(); }

private:
    [[nodiscard]] Place placeOf(const YAML::Mark& mark) const
    {
        return {.line = mark.line + 1, .column = _columns ? mark.column + 1 : 0};
    }

    void begin(Kind kind, const char* own, const YAML::Mark& mark, const std::string& tag,
               YAML::anchor_t anchor)
    {
        if (!tag.empty() && tag != "?" && tag != "!" && tag != own)
            refuseTag(mark);
        _tree.begin(kind, placeOf(mark), anchor);
    }

    void refuseTag(const YAML::Mark& mark)
    {
        _tree.problem(placeOf(mark), "tags (`!name`) are not supported");
    }

    DocumentBuilder& _tree;
    bool _columns;
};

} // namespace

std::optional<DocumentNode> parseYaml(const std::string& text, const std::string& file,
                                      std::vector<Problem>& problems, const DocumentLimits& limits)
{
    if (!checkText(text, file, limits, problems))
        return std::nullopt;
    const auto refuse = [&](Place at, const std::string& message)
    {
        problems.push_back(
            {.file = file, .line = at.line, .column = at.column, .key = {}, .message = message});
        return std::nullopt;
    };
    try
    {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        DocumentBuilder tree(file, problems, limits, true);
        YamlEvents events(tree, limits.columns);
        if (!parser.HandleNextDocument(events))
            return refuse({}, "holds nothing");
        if (parser)
            return refuse({}, "holds more than one document");
        return tree.root();
    }
    catch (const DocumentBuilder::LimitPassed& limit)
    {
        return refuse(limit.at, limit.message);
    }
    catch (const YAML::Exception& error)
    {
        const bool told = !error.mark.is_null();
        return refuse({.line = told ? error.mark.line + 1 : 0,
                       .column = told && limits.columns ? error.mark.column + 1 : 0},
                      "malformed YAML: " + error.msg);
    }
    catch (const std::exception& error) // the parser's own containers may throw too
    {
        return refuse({}, std::string("malformed YAML: ") + error.what());
    }
}

} // namespace agent
