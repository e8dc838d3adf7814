#include "agent/store/EndedRuns.h"
#include "agent/model/Id.h"
#include "agent/store/RunStore.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

// The count of ended runs, which the record keeps with each change.
class EndedRunsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(EndedRunsTest);
    CPPUNIT_TEST(testCountsARunWhileItHasEnded);
    CPPUNIT_TEST(testARunThatIsKeptIsNoneOfThem);
    CPPUNIT_TEST(testTakesBackWhatIsRolledBack);
    CPPUNIT_TEST(testSurvivesAReopening);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { open(); }

    void testCountsARunWhileItHasEnded()
    {
        Run run = inserted(std::nullopt);
        assertCount(0);
        for (const std::optional<TimeMs> end : {std::optional<TimeMs>(5), {}, {6}, {7}})
        {
            run.endedAt = end;
            _runs->update(run);
            assertCount(end ? 1 : 0);
        }
        inserted(8);
        assertCount(2);
        _runs->removeRun(run.id);
        assertCount(1);
        _runs->removeRun(inserted(std::nullopt).id);
        assertCount(1);
    }

    void testARunThatIsKeptIsNoneOfThem()
    {
        Run run = inserted(5);
        const Run other = inserted(6);
        for (const bool kept : {true, false, false, true, true})
        {
            run.kept = kept;
            _runs->update(run);
            assertCount(kept ? 1 : 2);
            const auto removable = EndedRuns(_database->writer()).removable(10);
            CPPUNIT_ASSERT_EQUAL(std::size_t(kept ? 1 : 2), removable.size());
            CPPUNIT_ASSERT_EQUAL(kept ? other.id : run.id, removable.front().id);
            CPPUNIT_ASSERT_EQUAL(std::size_t(2),
                                 EndedRuns(_database->writer()).runs({}, 10).size());
        }
        run.endedAt.reset(); // it is tried again
        _runs->update(run);
        assertCount(1);
        run.endedAt = 7;
        _runs->update(run);
        assertCount(1);
        _runs->removeRun(run.id);
        assertCount(1);
        Run begun = inserted(std::nullopt);
        begun.kept = true;
        _runs->update(begun);
        begun.endedAt = 9;
        _runs->update(begun);
        assertCount(1);
    }

    void testTakesBackWhatIsRolledBack()
    {
        {
            const Transaction open(_database->writer());
            inserted(5);
            assertCount(1);
        }
        assertCount(0);
    }

    void testSurvivesAReopening()
    {
        inserted(5);
        _runs.reset();
        _database.reset();
        open();
        assertCount(1);
    }

private:
    Run inserted(std::optional<TimeMs> endedAt)
    {
        Run run{.id = newId()};
        run.endedAt = endedAt;
        run.status = endedAt ? Status::Success : Status::Idle;
        _runs->insert(run);
        return run;
    }

    void assertCount(std::int64_t expected)
    {
        CPPUNIT_ASSERT_EQUAL(expected, EndedRuns(_database->writer()).count());
    }

    void open()
    {
        _database = std::make_unique<Database>(_files.path() / "record.db");
        _runs = std::make_unique<RunStore>(_database->writer());
    }

    FilesFolder _files;
    std::unique_ptr<Database> _database;
    std::unique_ptr<RunStore> _runs;
};

CPPUNIT_TEST_SUITE_REGISTRATION(EndedRunsTest);

} // namespace agent
