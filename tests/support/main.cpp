// One program holds many suites. `--list` names them, an argument runs that one, none runs all.
// Ends with `N passed, N failed`; a run of no test is a failure.
#include <cppunit/BriefTestProgressListener.h>
#include <cppunit/CompilerOutputter.h>
#include <cppunit/TestResult.h>
#include <cppunit/TestResultCollector.h>
#include <cppunit/TestSuite.h>
#include <cppunit/extensions/TestFactoryRegistry.h>

#include <csignal>
#include <iostream>
#include <memory>
#include <string>

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    const std::string wanted = argc > 1 ? argv[1] : "";
    const std::unique_ptr<CppUnit::Test> all(
        CppUnit::TestFactoryRegistry::getRegistry().makeTest());

    CppUnit::TestResult result;
    CppUnit::TestResultCollector collector;
    CppUnit::BriefTestProgressListener progress;
    result.addListener(&collector);
    result.addListener(&progress);

    for (int i = 0; i < all->getChildTestCount(); ++i)
    {
        CppUnit::Test* suite = all->getChildTestAt(i);
        if (wanted == "--list")
            std::cout << suite->getName() << '\n';
        else if (wanted.empty() || wanted == suite->getName())
            suite->run(&result);
        else
            for (int j = 0; j < suite->getChildTestCount(); ++j)
                if (suite->getChildTestAt(j)->getName() == wanted)
                    suite->getChildTestAt(j)->run(&result);
    }
    if (wanted == "--list")
        return 0;

    CppUnit::CompilerOutputter(&collector, std::cerr).write();
    const int failed = collector.testFailuresTotal();
    const int passed = collector.runTests() - failed;
    std::cout << passed << " passed, " << failed << " failed" << std::endl;
    return failed == 0 && passed > 0 ? 0 : 1;
}
