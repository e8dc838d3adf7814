#include "agent/collect/Collector.h"

#include "agent/collect/ContentStore.h"
#include "agent/collect/Manifest.h"
#include "agent/collect/NotKept.h"
#include "agent/collect/WorkspaceWalk.h"
#include "agent/os/Files.h"
#include "agent/reports/TestReports.h"
#include "agent/wire/Failpoint.h"

#include <exception>
#include <limits>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>

namespace agent
{

namespace
{

constexpr std::int64_t boundless = std::numeric_limits<std::int64_t>::max();

bool onDevice(const std::string& folder, std::uint64_t device)
{
    struct stat status = {};
    return ::stat(folder.c_str(), &status) == 0 && status.st_dev == device;
}

} // namespace

Collected Collector::run()
{
    Collected collected;
    if (_withArtifacts && !_order.collect->paths.empty())
        collectArtifacts(collected);
    if (!_order.collect->junit.empty())
        readReports(collected);
    if (const std::string omitted = _omissions.text(); !omitted.empty())
        collected.problem += (collected.problem.empty() ? "" : "; ") + omitted;
    return collected;
}

void Collector::collectArtifacts(Collected& collected)
{
    std::string why;
    try
    {
        collected.artifacts = keep();
        return;
    }
    catch (const NotKept& limit)
    {
        why = limit.what();
    }
    catch (const std::system_error& error)
    {
        why = error.code() == std::errc::no_space_on_device || error.code().value() == EDQUOT
                  ? "the disk is full"
                  : error.what();
    }
    collected.problem = "nothing was kept: " + why;
}

KeptArtifacts Collector::keep()
{
    const CollectOrder& collect = *_order.collect;
    const std::int64_t mostBytes = collect.maxBytes > 0 ? collect.maxBytes : boundless;
    const std::int64_t mostFiles = collect.maxFiles > 0 ? collect.maxFiles : boundless;
    ContentStore store(collect.store, _order.runId,
                       _order.stageId + '.' + std::to_string(_order.attempt));
    FAILPOINT("collect.set");
    Manifest manifest(collect.name);
    WorkspaceWalk walk(_order.cwd, collect.paths);
    walk.run({.file =
                  [&](const FoundFile& found)
              {
                  if (manifest.files() == mostFiles)
                      throw NotKept("more than artifacts.max_files, " + std::to_string(mostFiles));
                  StoredContent content =
                      store.add(found.file, found.size, mostBytes - manifest.bytes());
                  manifest.add({.path = found.path,
                                .mode = found.mode,
                                .size = content.size,
                                .digest = std::move(content.digest)});
              },
              .omitted = [this](const std::string& path, const std::string& why)
              { _omissions.add(path, why); }});
    _omissions.addUnmatched(walk.unmatched(), "file");
    if (manifest.files() == 0)
        return {};
    KeptArtifacts kept{.files = manifest.files(), .bytes = manifest.bytes()};
    FAILPOINT("collect.manifest");
    kept.manifest = manifest.write(_attempt, !onDevice(_attempt, store.device()));
    FAILPOINT("collect.sync");
    store.sync();
    store.publish();
    FAILPOINT("collect.published");
    return kept;
}

void Collector::readReports(Collected& collected)
try
{
    TestReports reports;
    const auto refuse = [&](const std::string& path, const std::string& why)
    {
        reports.refuse(path, why);
        _omissions.add(path, why);
    };
    WorkspaceWalk walk(_order.cwd, _order.collect->junit);
    walk.run({.file =
                  [&](const FoundFile& found)
              {
                  if (found.size > static_cast<std::int64_t>(TestReports::fileLimit))
                      return refuse(found.path, "too large for a report");
                  try
                  {
                      const std::string why =
                          reports.add(found.path, found.file.text(TestReports::fileLimit));
                      if (!why.empty())
                          _omissions.add(found.path, why);
                  }
                  catch (const std::system_error& error)
                  {
                      refuse(found.path, "can't be read: " + error.code().message());
                  }
              },
              .omitted = refuse});
    _omissions.addUnmatched(walk.unmatched(), "report");
    if (!reports.any())
        return;
    const FileDescriptor file = createFile(_attempt + "/" + files::tests, O_WRONLY);
    if (!file.valid() || !writeAll(file.get(), reports.json()))
        throw std::system_error(errno, std::generic_category(), "cannot write tests.json");
    collected.tests = ReportedTests{.total = reports.counts().total,
                                    .failed = reports.counts().failed,
                                    .skipped = reports.counts().skipped};
}
catch (const std::exception& error)
{
    collected.problem += collected.problem.empty() ? "" : "; ";
    collected.problem.append("the reports can't be read: ").append(error.what());
}

} // namespace agent
