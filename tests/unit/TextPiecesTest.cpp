#include "agent/model/TextPieces.h"

#include <cppunit/extensions/HelperMacros.h>

namespace
{

using agent::TextPieces;

std::vector<std::string_view> viewsOf(const TextPieces& pieces, std::size_t begin, std::size_t end)
{
    std::vector<std::string_view> views;
    pieces.view(begin, end, views);
    return views;
}

std::string joined(const TextPieces& pieces, std::size_t begin, std::size_t end)
{
    std::string text;
    for (const std::string_view view : viewsOf(pieces, begin, end))
        text.append(view);
    return text;
}

} // namespace

class TextPiecesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TextPiecesTest);
    CPPUNIT_TEST(testBorrowsLongTextsWithoutACopy);
    CPPUNIT_TEST(testTextsThatFollowEachOtherInMemoryAreOnePiece);
    CPPUNIT_TEST(testCopiesShortTexts);
    CPPUNIT_TEST(testGivesAnyRange);
    CPPUNIT_TEST(testTellsWhereTheLastLineEnds);
    CPPUNIT_TEST_SUITE_END();

    void testBorrowsLongTextsWithoutACopy()
    {
        const std::string text(1000, 'x');
        TextPieces pieces;
        pieces.borrow(text);
        CPPUNIT_ASSERT(viewsOf(pieces, 0, 1000).front().data() == text.data());
    }

    void testTextsThatFollowEachOtherInMemoryAreOnePiece()
    {
        const std::string text(1000, 'x');
        TextPieces pieces;
        pieces.borrow(std::string_view(text).substr(0, 500));
        pieces.borrow(std::string_view(text).substr(500, 3));
        pieces.borrow(std::string_view(text).substr(503));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), viewsOf(pieces, 0, 1000).size());
        CPPUNIT_ASSERT_EQUAL(std::size_t(1000), pieces.size());
    }

    void testCopiesShortTexts()
    {
        TextPieces pieces;
        for (int i = 0; i < 1000; ++i)
        {
            std::string text = std::to_string(i);
            pieces.borrow(text);
            pieces.copy("***");
            text.assign(text.size(), '!');
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), viewsOf(pieces, 0, pieces.size()).size());
        CPPUNIT_ASSERT_EQUAL(std::string("0***1***2***"), joined(pieces, 0, 12));
    }

    void testGivesAnyRange()
    {
        const std::string first(300, 'a');
        const std::string second(300, 'c');
        TextPieces pieces;
        pieces.borrow(first);
        pieces.copy("bbb");
        pieces.borrow(second);
        pieces.copy("d");
        const std::string whole = first + "bbb" + second + "d";
        for (std::size_t begin = 0; begin <= whole.size(); begin += 7)
            for (std::size_t end = begin; end <= whole.size(); ++end)
                CPPUNIT_ASSERT_EQUAL(whole.substr(begin, end - begin), joined(pieces, begin, end));
        std::string rest = "before ";
        pieces.appendTo(rest, 299);
        CPPUNIT_ASSERT_EQUAL("before " + whole.substr(299), rest);
        pieces.clear();
        CPPUNIT_ASSERT(viewsOf(pieces, 0, 1000).empty());
    }

    void testTellsWhereTheLastLineEnds()
    {
        const std::string unended(300, 'a');
        TextPieces pieces;
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), pieces.wholeLines());
        pieces.borrow(unended);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), pieces.wholeLines());
        pieces.copy("b\nc");
        CPPUNIT_ASSERT_EQUAL(std::size_t(302), pieces.wholeLines());
        pieces.borrow(unended);
        CPPUNIT_ASSERT_EQUAL(std::size_t(302), pieces.wholeLines());
        pieces.copy("\n");
        CPPUNIT_ASSERT_EQUAL(pieces.size(), pieces.wholeLines());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TextPiecesTest);
