#include "agent/store/RunStore.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/Records.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

/// What the record keeps of an attempt that another one followed.
class AttemptEndsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(AttemptEndsTest);
    CPPUNIT_TEST(testTheNewestAttemptIsTheStageItself);
    CPPUNIT_TEST(testKeepsHowAnAttemptEnded);
    CPPUNIT_TEST(testWhatWasKeptFirstStands);
    CPPUNIT_TEST(testNothingIsKeptOfAStageThatNeverStarted);
    CPPUNIT_TEST(testAttemptsGoWithTheirStage);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _store.insert(_run);
        _stage = fullStage(_run.id); // its third attempt
        _store.insert(_stage);
    }

    void testTheNewestAttemptIsTheStageItself()
    {
        CPPUNIT_ASSERT_EQUAL(text(_stage), text(_store.attempt(_stage.id, 3).value()));
        CPPUNIT_ASSERT(!_store.attempt(_stage.id, 2));
        CPPUNIT_ASSERT(!_store.attempt(newId(), 1));
    }

    void testKeepsHowAnAttemptEnded()
    {
        const Stage third = _stage;
        beginTheNextOne();
        Stage kept = _store.attempt(_stage.id, 3).value();
        CPPUNIT_ASSERT_EQUAL(3, kept.attempt);
        // All that tells of an end is the third's; all else is the stage's of now.
        Stage expected = _stage;
        expected.attempt = 3;
        expected.status = third.status;
        expected.startedAt = third.startedAt;
        expected.endedAt = third.endedAt;
        expected.cause = third.cause;
        expected.exitCode = third.exitCode;
        expected.signal = third.signal;
        expected.message = third.message;
        expected.containment = third.containment;
        expected.isolation = third.isolation;
        expected.network = third.network;
        expected.limitsMissing = third.limitsMissing;
        expected.notes = third.notes;
        expected.logBytes = third.logBytes;
        expected.usage = third.usage;
        expected.artifactFiles = third.artifactFiles;
        expected.artifactBytes = third.artifactBytes;
        expected.artifactManifest = third.artifactManifest;
        expected.testsTotal = third.testsTotal;
        expected.testsFailed = third.testsFailed;
        expected.testsSkipped = third.testsSkipped;
        CPPUNIT_ASSERT_EQUAL(text(expected), text(kept));
        CPPUNIT_ASSERT_EQUAL(text(_stage), text(_store.attempt(_stage.id, 4).value()));
    }

    void testWhatWasKeptFirstStands()
    {
        _store.keepAttempt(_stage);
        Stage skipped = _stage;
        skipped.cause = Cause::Skipped;
        skipped.status = Status::Success;
        _store.keepAttempt(skipped);
        CPPUNIT_ASSERT(_store.attempt(_stage.id, 3)->cause == _stage.cause);
        CPPUNIT_ASSERT(_store.attempt(_stage.id, 3)->status == Status::Failure);
    }

    void testNothingIsKeptOfAStageThatNeverStarted()
    {
        Stage skipped = _stage;
        skipped.attempt = 0;
        _store.keepAttempt(skipped);
        CPPUNIT_ASSERT(!_store.attempt(_stage.id, 0));
    }

    void testAttemptsGoWithTheirStage()
    {
        beginTheNextOne();
        _store.removeRun(_run.id);
        _store.insert(_run);
        _store.insert(_stage);
        CPPUNIT_ASSERT(!_store.attempt(_stage.id, 3));
    }

private:
    void beginTheNextOne()
    {
        _store.keepAttempt(_stage);
        _stage.clearEnd();
        _stage.status = Status::Idle;
        _stage.attempt = 4;
        _store.update(_stage);
    }

    FilesFolder _files;
    Database _database{_files.path() / "record.db"};
    RunStore _store{_database.writer()};
    Run _run = fullRun();
    Stage _stage;
};

CPPUNIT_TEST_SUITE_REGISTRATION(AttemptEndsTest);

} // namespace agent
