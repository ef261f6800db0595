#include "support/project.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>

using namespace autoexec::test;

namespace {

/// A project with outputs that are 10, 20 … days old.
class OldRecords : public Project {
public:
    OldRecords()
    {
        for (int i = 1; i <= 4; ++i) write_old("output/" + std::to_string(i) + ".log", 10 * i);
    }
    void write_old(const std::string& name, int days) const
    {
        const auto path = ".tapps-agents/" + name;
        write(path, "0123456789");
        fs::last_write_time(root() / path,
                            fs::file_time_type::clock::now() - std::chrono::hours(24 * days + 1));
    }
    void configure(const std::string& text) const
    {
        write(".tapps-agents/auto_execution_config.yaml",
              "auto_execution:\n  records:\n    " + text + "\n");
    }
    [[nodiscard]] Words outputs() const { return names_in(records() / "output"); }
    Ended gc(const Words& more = {}) const
    {
        Words words = {"records", "gc"};
        words.insert(words.end(), more.begin(), more.end());
        return run(words);
    }
};

}  // namespace

TEST_SUITE_BEGIN("record_retention");

TEST_CASE("settings limit the records, and options of the call win over them")
{
    const OldRecords project;
    auto ended = project.gc();
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "no limit"));
    project.configure("older_than: 60d");
    CHECK(project.gc().err == "Nothing to remove.\n");
    project.configure("older_than: 40d");
    ended = project.gc();
    CHECK(ended.code == 0);
    CHECK(ended.out == "removed .tapps-agents/output/4.log (10 bytes)\n");
    CHECK(project.outputs() == Words{"1.log", "2.log", "3.log"});
    project.configure("keep: 2");
    CHECK(project.gc({"--keep", "3"}).err == "Nothing to remove.\n");
    CHECK(project.gc().code == 0);
    CHECK(project.outputs() == Words{"1.log", "2.log"});
    project.configure("max_bytes: 10");
    CHECK(project.gc({"--max-bytes", "20"}).err == "Nothing to remove.\n");
    CHECK(project.gc().code == 0);
    CHECK(project.outputs() == Words{"1.log"});
    CHECK(project.gc({"--older-than", "1d"}).code == 0);
    CHECK(project.outputs().empty());
}

TEST_CASE("a dry run removes nothing, and JSON describes each record")
{
    const OldRecords project;
    auto ended = project.gc({"--dry-run", "--older-than", "30d"});
    CHECK(ended.code == 0);
    CHECK(ended.out ==
          "would remove .tapps-agents/output/4.log (10 bytes)\n"
          "would remove .tapps-agents/output/3.log (10 bytes)\n");
    CHECK(project.outputs().size() == 4);
    ended = project.gc({"--json", "--older-than", "40d"});
    const auto lines = objects_of(ended.out);
    REQUIRE(lines.size() == 1);
    CHECK(text_at(lines[0], "kind") == "output");
    CHECK(text_at(lines[0], "path") == ".tapps-agents/output/4.log");
    CHECK(lines[0].at("bytes").to_number<int>() == 10);
    CHECK(lines[0].at("removed").as_bool());
    CHECK(lines[0].at("problem").is_null());
}

TEST_CASE("a dry run names the backups that the removal keeps")
{
    const OldRecords project;
    for (const auto* const name : {"1", "2"})
        project.write_old(std::string("audit/execution_audit.log.") + name, 100);
    project.write(".tapps-agents/audit/execution_audit.log", "");
    auto ended = project.gc({"--dry-run", "--older-than", "90d"});
    CHECK(ended.out ==
          "would keep .tapps-agents/audit/execution_audit.log.2: execution_audit.log is empty\n"
          "would keep .tapps-agents/audit/execution_audit.log.1: execution_audit.log is empty\n");
    CHECK(project.gc({"--older-than", "90d"}).out.empty());
    project.write(".tapps-agents/audit/execution_audit.log", "{}\n");
    ended = project.gc({"--dry-run", "--older-than", "90d"});
    CHECK(ended.out ==
          "would remove .tapps-agents/audit/execution_audit.log.2 (10 bytes)\n"
          "would remove .tapps-agents/audit/execution_audit.log.1 (10 bytes)\n");
    CHECK(project.gc({"--older-than", "90d"}).out ==
          "removed .tapps-agents/audit/execution_audit.log.2 (10 bytes)\n"
          "removed .tapps-agents/audit/execution_audit.log.1 (10 bytes)\n");
}

TEST_CASE("records that must be kept do not count as removed before commands are run")
{
    const OldRecords project;
    for (int i = 0; i < 1001; ++i)
        project.write_old("workflow-state/" + std::to_string(i) + ".jsonl", 100);
    project.configure("{older_than: 30d, auto_gc: true}");
    const auto ended = project.run({"run", "--", "true"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "Removed 2 old records (0.0 MB).\n"));
}

TEST_CASE("old records go before commands are run, if that is configured")
{
    const OldRecords project;
    project.configure("older_than: 30d");
    CHECK(project.run({"run", "--", "true"}).code == 0);
    CHECK(project.outputs().size() >= 4);
    project.configure("{older_than: 30d, auto_gc: true}");
    const auto ended = project.run({"run", "--", "true"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "Removed 2 old records (0.0 MB).\n"));
    const auto left = project.outputs();
    CHECK(std::find(left.begin(), left.end(), "3.log") == left.end());
    CHECK(std::find(left.begin(), left.end(), "2.log") != left.end());
    CHECK(project.run({"audit", "verify"}).code == 0);
}

TEST_SUITE_END();
