#include "agent/api/JsonArray.h"

namespace agent
{

namespace
{

/// A page ends with the element that passes this.
constexpr std::size_t pageBytes = 65'536;

/// Writes the array page by page.
class ArrayPages
{
public:
    explicit ArrayPages(JsonElements elements) : _elements(std::move(elements)) {}

    /// Appends the next page. Returns false with the last one.
    bool next(std::string& out)
    {
        if (_first)
            out += '[';
        while (out.size() < pageBytes)
        {
            const auto element = _elements();
            if (!element)
            {
                out += ']';
                return false;
            }
            if (!std::exchange(_first, false))
                out += ',';
            out += *element;
        }
        return true;
    }

private:
    JsonElements _elements;
    bool _first = true;
};

} // namespace

Response arrayOf(JsonElements elements)
{
    const auto pages = std::make_shared<ArrayPages>(std::move(elements));
    Response response;
    if (!pages->next(response.body))
        return response;
    response.pages = std::make_shared<Response::Pages>(
        Response::Pages{.next = [pages, begun = std::move(response.body)](std::string& out) mutable
                        {
                            out = std::exchange(begun, {});
                            return !out.empty() || pages->next(out);
                        }});
    response.body.clear();
    return response;
}

} // namespace agent
