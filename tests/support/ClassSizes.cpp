#include "tests/support/ClassSizes.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace agent
{

namespace
{

bool isWordPart(char c)
{
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// Reads the declarations one after the other; each ends with `;` or with the body of a function.
class Reader
{
public:
    explicit Reader(const std::string& code) : _code(code) {}

    std::vector<ClassSize> classes()
    {
        while (_at < _code.size())
        {
            readScope(nullptr);
            ++_at; // a bracket too many
        }
        return std::move(_found);
    }

private:
    /// What was seen of the declaration that is being read.
    struct Declaration
    {
        std::string firstWord; ///< template heads and access labels are passed over
        std::string name;      ///< the word after `class` or `struct`
        bool function = false; ///< has a parameter list, or is an operator
        bool value = false;    ///< has a `=` before any parameter list
        bool nothing = false;  ///< `= delete` or `= default`
        int line = 0;
    };

    /// To the bracket that ends the scope, or the end. `owner`: the class whose scope it is.
    void readScope(ClassSize* owner)
    {
        while (skipBlank(), _at < _code.size() && _code[_at] != '}')
        {
            const Declaration one = readDeclaration();
            static constexpr std::string_view none[] = {"using", "friend", "typedef", "enum",
                                                        "static_assert"};
            const bool counts =
                one.function && !one.nothing &&
                std::find(std::begin(none), std::end(none), one.firstWord) == std::end(none);
            if (owner != nullptr && counts)
                ++owner->functions;
        }
    }

    Declaration readDeclaration()
    {
        Declaration one;
        int angles = 0;
        std::string before; // the word read last
        while (_at < _code.size())
        {
            skipBlank();
            if (_at >= _code.size() || _code[_at] == '}')
                return one;
            const char c = _code[_at];
            if (c == '#')
                skipLine();
            else if (isWordPart(c))
                before = readWord(one, before);
            else if (c == ';')
            {
                ++_at;
                return one;
            }
            else if (c == '{')
            {
                if (readBraces(one))
                    return one;
            }
            else if (c == '(')
            {
                const bool ofType = angles > 0 || before == "alignas" || before == "decltype";
                if (!ofType && !one.value)
                    one.function = true;
                skipBalanced('(', ')');
            }
            else
            {
                if (c == '<')
                    ++angles;
                else if (c == '>' && angles > 0)
                    --angles;
                else if (c == '=' && !one.function && angles == 0)
                    one.value = true;
                else if (c == ':' &&
                         (before == "public" || before == "private" || before == "protected"))
                    one = {};
                ++_at;
            }
        }
        return one;
    }

    std::string readWord(Declaration& one, const std::string& before)
    {
        const std::size_t begin = _at;
        while (_at < _code.size() && isWordPart(_code[_at]))
            ++_at;
        std::string word = _code.substr(begin, _at - begin);
        if (word == "operator")
        {
            one.function = true;
            while (_at < _code.size() && _code[_at] != '(')
                ++_at;
            if (_code.compare(_at, 2, "()") == 0)
                _at += 2;
        }
        else if (word == "template")
        {
            skipBlank();
            skipBalanced('<', '>');
        }
        else if (one.firstWord.empty())
        {
            one.firstWord = word;
            one.line = 1 + static_cast<int>(std::count(_code.begin(), _code.begin() + begin, '\n'));
        }
        if ((before == "class" || before == "struct") && before == one.firstWord &&
            one.name.empty())
            one.name = word;
        if (one.function && (word == "delete" || word == "default"))
            one.nothing = true;
        return word;
    }

    /// At a `{`. Returns whether the declaration ends with what it opens.
    bool readBraces(const Declaration& one)
    {
        if (one.firstWord == "namespace" || one.firstWord == "extern")
        {
            ++_at;
            readScope(nullptr);
            ++_at;
            return true;
        }
        if ((one.firstWord == "class" || one.firstWord == "struct") && !one.function && !one.value)
        {
            ClassSize size{.name = one.name, .line = one.line};
            ++_at;
            readScope(&size);
            ++_at;
            _found.push_back(size);
            return false; // up to its semicolon
        }
        skipBalanced('{', '}');
        if (!one.function)
            return false;
        // Between the members of an initializer list, and before the body behind it.
        skipBlank();
        return _at >= _code.size() || (_code[_at] != ',' && _code[_at] != '{' && _code[_at] != ';');
    }

    void skipBalanced(char open, char close)
    {
        int depth = 0;
        for (; _at < _code.size(); ++_at)
        {
            depth += _code[_at] == open ? 1 : _code[_at] == close ? -1 : 0;
            if (depth == 0)
            {
                ++_at;
                return;
            }
        }
    }

    void skipBlank()
    {
        while (_at < _code.size() && std::isspace(static_cast<unsigned char>(_code[_at])) != 0)
            ++_at;
    }

    void skipLine() { _at = std::min(_code.find('\n', _at), _code.size()); }

    const std::string& _code;
    std::size_t _at = 0;
    std::vector<ClassSize> _found;
};

} // namespace

std::vector<ClassSize> classSizes(const std::string& code)
{
    return Reader(code).classes();
}

} // namespace agent
