#include "records/retention.hpp"

#include "protocol/running_files.hpp"
#include "records/log_file.hpp"
#include "support/executor_fixture.hpp"
#include "support/temporary_folder.hpp"
#include "workflow/journal/journal.hpp"
#include "workflow/journal/markers.hpp"
#include "workflow/journal/run_retention.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;
using records::RecordKind;
using records::StoredRecord;
using std::chrono::system_clock;

using Names = std::vector<std::string>;

constexpr auto all = std::numeric_limits<std::size_t>::max();
constexpr system_clock::time_point today = std::chrono::sys_days{std::chrono::year{2026} / 6 / 30};

StoredRecord record_of(RecordKind kind, std::string name, int days, std::uint64_t bytes = 10)
{
    StoredRecord record;
    record.kind = kind;
    record.name = std::move(name);
    record.time = today - days * 24h;
    record.bytes = bytes;
    return record;
}

Names removed(const std::vector<StoredRecord>& records, const records::RetentionLimits& limits,
              const Names& kept = {})
{
    Names names;
    records::apply_limits(records, limits, today, [&](const StoredRecord& record) {
        if (std::ranges::find(kept, record.name) != kept.end()) return false;
        names.push_back(record.name);
        return true;
    });
    return names;
}

records::RetentionLimits limits_of(std::chrono::milliseconds older_than, std::uint64_t max_bytes,
                                   std::size_t keep)
{
    records::RetentionLimits limits;
    limits.older_than = older_than;
    limits.max_bytes = max_bytes;
    limits.keep = keep;
    return limits;
}

/// A project whose files are 100 days old.
struct RetentionFixture {
    TemporaryFolder project;

    void put(const std::string& path, std::string_view text = "x\n") const
    {
        project.write(".tapps-agents/" + path, text);
        fs::last_write_time(project / (".tapps-agents/" + path),
                            fs::file_time_type::clock::now() - 100 * 24h);
    }
    [[nodiscard]] bool has(const std::string& path) const
    {
        return fs::exists(fs::symlink_status(project / (".tapps-agents/" + path)));
    }
    [[nodiscard]] std::vector<StoredRecord> stored() const
    {
        return records::list_stored(project.path(), all);
    }
    [[nodiscard]] Names listed() const
    {
        Names names;
        for (const auto& record : stored()) names.push_back(record.path());
        std::ranges::sort(names);
        return names;
    }
    [[nodiscard]] StoredRecord find(const std::string& name) const
    {
        for (auto& record : stored())
            if (record.name == name) return record;
        FAIL(name);
        return {};
    }
    [[nodiscard]] std::string remove(const std::string& name) const
    {
        return records::remove_stored(project.path(), find(name)).kept_because;
    }
    [[nodiscard]] std::string check(const std::string& name, bool older_is_gone = false) const
    {
        return records::check_stored(project.path(), find(name), older_is_gone).kept_because;
    }
};

}  // namespace

TEST_SUITE_BEGIN("retention");

TEST_CASE("each limit removes the oldest records, and none of the last day")
{
    const std::vector<StoredRecord> records = {
        record_of(RecordKind::output, "new", 0),  record_of(RecordKind::output, "later", -5),
        record_of(RecordKind::output, "b", 20),   record_of(RecordKind::output, "a", 40),
        record_of(RecordKind::run, "c", 30, 100), record_of(RecordKind::audit, "d", 2),
    };
    CHECK(removed(records, {}).empty());
    CHECK(removed(records, limits_of(20 * 24h, 0, 0)) == Names{"a", "c", "b"});
    CHECK(removed(records, limits_of(30 * 24h + 1s, 0, 0)) == Names{"a"});
    CHECK(removed(records, limits_of(0s, 140, 0)) == Names{"a"});
    CHECK(removed(records, limits_of(0s, 139, 0)) == Names{"a", "c"});
    CHECK(removed(records, limits_of(0s, 1, 0)) == Names{"a", "c", "b", "d"});
    CHECK(removed(records, limits_of(0s, 0, 3)) == Names{"a"});
    CHECK(removed(records, limits_of(0s, 0, 1)) == Names{"a", "b"});
    CHECK(removed(records, limits_of(1ms, 0, 0)) == Names{"a", "c", "b", "d"});
    CHECK(removed(records, limits_of(30 * 24h, 0, 3)) == Names{"a", "c"});
}

TEST_CASE("what has to be kept does not count as removed")
{
    const std::vector<StoredRecord> records = {record_of(RecordKind::output, "a", 40),
                                               record_of(RecordKind::output, "b", 30),
                                               record_of(RecordKind::output, "c", 20)};
    CHECK(removed(records, limits_of(0s, 20, 0), {"a"}) == Names{"b"});
    CHECK(removed(records, limits_of(0s, 0, 2), {"a"}) == Names{"b"});
}

TEST_CASE_FIXTURE(RetentionFixture, "only old records are listed, and no link or other file")
{
    for (const auto* const path :
         {"metrics/executions_2026-01-20.jsonl", "metrics/attempts_2026-01-20.jsonl",
          "audit/execution_audit.log.2", "logs/autoexec.log.1", "output/a.log"})
        put(path);
    for (const auto* const path :
         {"metrics/executions_2026-13-40.jsonl", "metrics/notes.txt", "audit/execution_audit.log",
          "audit/execution_audit.log.02", "audit/execution_audit.log.x", "logs/autoexec.log",
          "output/a.txt", "running/x", "auto_execution_config.yaml"})
        put(path);
    fs::create_symlink(project / ".tapps-agents/output/a.txt",
                       project / ".tapps-agents/output/link.log");
    fs::create_directory(project / ".tapps-agents/output/folder.log");
    CHECK(listed() ==
          Names{".tapps-agents/audit/execution_audit.log.2", ".tapps-agents/logs/autoexec.log.1",
                ".tapps-agents/metrics/attempts_2026-01-20.jsonl",
                ".tapps-agents/metrics/executions_2026-01-20.jsonl", ".tapps-agents/output/a.log"});
    // The day has ended then, whatever the time of the file is.
    CHECK(find("executions_2026-01-20.jsonl").time ==
          std::chrono::sys_days{std::chrono::year{2026} / 1 / 21});
    for (const auto& record : stored())
        CHECK(records::remove_stored(project.path(), record).is_gone());
    CHECK(listed().empty());
    CHECK(has("audit/execution_audit.log"));
    CHECK(has("output/link.log"));
}

TEST_CASE_FIXTURE(RetentionFixture, "a folder that is a link is left alone")
{
    const TemporaryFolder other;
    other.write("a.log", "x");
    fs::create_directories(project / ".tapps-agents");
    fs::create_directory_symlink(other.path(), project / ".tapps-agents/output");
    CHECK(listed().empty());
}

TEST_CASE_FIXTURE(RetentionFixture, "outputs of running and interrupted attempts are kept")
{
    put("output/attempt-1.log");
    put("output/attempt-2.log");
    protocol::RunningRecord record;
    record.attempt_id = "attempt-1";
    record.execution_id = "execution-1";
    record.worktree = "/tree";
    leave_record(project.path(), record);
    CHECK(listed() == Names{".tapps-agents/output/attempt-2.log"});
}

TEST_CASE_FIXTURE(RetentionFixture, "a file that was replaced since it was listed is kept")
{
    put("output/a.log");
    const auto old = find("a.log");
    fs::rename(project / ".tapps-agents/output/a.log", project / ".tapps-agents/output/b.log");
    CHECK(records::remove_stored(project.path(), old).is_gone());  // it is gone already
    put("output/a.log", "new");
    CHECK(records::remove_stored(project.path(), old).kept_because == "it was replaced meanwhile");
    CHECK(has("output/a.log"));
}

TEST_CASE_FIXTURE(RetentionFixture, "backups are removed from the oldest on")
{
    put("audit/execution_audit.log");
    for (const auto* const number : {"1", "2", "3"})
        put(std::string("audit/execution_audit.log.") + number);
    // A later time of an older backup, as a copy has it.
    fs::last_write_time(project / ".tapps-agents/audit/execution_audit.log.3",
                        fs::file_time_type::clock::now());
    Names names;
    records::apply_limits(stored(), limits_of(50 * 24h, 0, 0), system_clock::now(),
                          [&](const StoredRecord& record) {
                              names.push_back(record.name);
                              return true;
                          });
    CHECK(names ==
          Names{"execution_audit.log.3", "execution_audit.log.2", "execution_audit.log.1"});
    CHECK(check("execution_audit.log.2") == "an older backup is kept");
    CHECK(check("execution_audit.log.2", true).empty());
    CHECK(remove("execution_audit.log.2") == "an older backup is kept");
    CHECK(remove("execution_audit.log.3").empty());
    CHECK(remove("execution_audit.log.2").empty());
    CHECK(has("audit/execution_audit.log.1"));
}

TEST_CASE_FIXTURE(RetentionFixture, "the last backup is kept while the log has no line")
{
    put("audit/execution_audit.log.1");
    CHECK(check("execution_audit.log.1") == "execution_audit.log is missing");
    CHECK(remove("execution_audit.log.1") == "execution_audit.log is missing");
    put("audit/execution_audit.log", "");
    CHECK(check("execution_audit.log.1") == "execution_audit.log is empty");
    CHECK(remove("execution_audit.log.1") == "execution_audit.log is empty");
    put("audit/execution_audit.log", "{}\n");
    CHECK(check("execution_audit.log.1").empty());
    CHECK(remove("execution_audit.log.1").empty());
}

TEST_CASE_FIXTURE(RetentionFixture, "files that another process has locked are kept")
{
    put("metrics/executions_2026-01-20.jsonl");
    put("audit/execution_audit.log");
    put("audit/execution_audit.log.1");
    const auto lock = [&](const std::string& path) {
        files::UniqueFd fd(::open((project / (".tapps-agents/" + path)).c_str(), O_RDONLY));
        REQUIRE(::flock(fd.get(), LOCK_EX) == 0);
        return fd;
    };
    {
        const auto metrics = lock("metrics/executions_2026-01-20.jsonl");
        const auto audit = lock("audit/execution_audit.log");
        CHECK(remove("executions_2026-01-20.jsonl") ==
              "another process writes executions_2026-01-20.jsonl");
        CHECK(remove("execution_audit.log.1") == "another process writes execution_audit.log");
    }
    CHECK(remove("executions_2026-01-20.jsonl").empty());
    CHECK(remove("execution_audit.log.1").empty());
}

TEST_CASE_FIXTURE(RetentionFixture, "a writer of an old day writes a new file after its removal")
{
    put("metrics/executions_2026-01-20.jsonl", "{}\n");
    records::LogFile writer(records::Folder::of({}, project.path(), "metrics"), {},
                            Durability::process, records::Disk::real());
    std::string_view line = "{\"a\": 1}\n";
    REQUIRE_FALSE(writer.append("executions_2026-01-20.jsonl", line));
    CHECK(remove("executions_2026-01-20.jsonl").empty());
    line = "{\"b\": 1}\n";
    REQUIRE_FALSE(writer.append("executions_2026-01-20.jsonl", line));
    CHECK(project.read(".tapps-agents/metrics/executions_2026-01-20.jsonl") == "{\"b\": 1}\n");
}

TEST_CASE_FIXTURE(RetentionFixture, "the journal and the markers of an ended run are removed")
{
    error_code ec;
    auto journal = workflow::Journal::create(project.path(), "build", system_clock::now(),
                                             Durability::process, ec);
    REQUIRE(journal);
    const auto run = journal->run_id();
    protocol::RunStarted started;
    started.run_id = run;
    REQUIRE_FALSE(journal->append(started, system_clock::now()));
    workflow::Marker marker;
    marker.workflow_id = run;
    marker.step_id = "a";
    REQUIRE_FALSE(workflow::write_marker(project.path(), marker));
    put("workflows/markers/" + run + "/step-a/notes.txt");
    put("workflows/markers/other/step-a/DONE.json");
    const auto listed_runs = workflow::list_journals(project.path(), all);
    REQUIRE(listed_runs.size() == 1);
    const auto& listed_run = listed_runs.front();
    const auto remove_it = [&] {
        return workflow::remove_run(project.path(), listed_run).kept_because;
    };
    CHECK(remove_it() == "its run is active");

    SUBCASE("that was interrupted: kept")
    {
        journal.reset();
        CHECK(workflow::run_removal_blocker(project.path(), listed_run) == "its run has not ended");
        CHECK(remove_it() == "its run has not ended");
        CHECK(workflow::list_runs(project.path()) == Names{run});
        CHECK(has("workflows/markers/" + run + "/step-a/DONE.json"));
    }
    SUBCASE("that has a worktree: kept until that is removed")
    {
        protocol::StepPrepared prepared;
        prepared.step = "a";
        prepared.round = 1;
        prepared.tree.name = "short-name";
        REQUIRE_FALSE(journal->append(prepared, system_clock::now()));
        REQUIRE_FALSE(
            journal->append(protocol::RunEnded{WorkflowStatus::failed, ""}, system_clock::now()));
        journal.reset();
        for (const auto& name : {std::string("short-name"), "workflow-" + run + "-a"}) {
            const auto tree = project / (".tapps-agents/worktrees/" + name);
            fs::create_directories(tree);
            CHECK(remove_it() == "a worktree of its run exists");
            fs::remove(tree);
        }
        CHECK(remove_it().empty());
    }
    SUBCASE("with its markers, and nothing else")
    {
        REQUIRE_FALSE(journal->append(protocol::RunEnded{WorkflowStatus::completed, ""},
                                      system_clock::now()));
        journal.reset();
        CHECK(workflow::run_removal_blocker(project.path(), listed_run).empty());
        CHECK(remove_it().empty());
        CHECK(workflow::list_runs(project.path()).empty());
        CHECK_FALSE(has("workflows/markers/" + run + "/step-a/DONE.json"));
        CHECK(has("workflows/markers/" + run + "/step-a/notes.txt"));
        CHECK(has("workflows/markers/other/step-a/DONE.json"));
        CHECK(remove_it().empty());  // another process was faster
    }
}

TEST_SUITE_END();
