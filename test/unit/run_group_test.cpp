#include "workflow/journal/run_group.hpp"

#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using autoexec::workflow::RunGroup;
namespace fs = std::filesystem;

namespace {

/// Each run has its own open file, as each process has.
struct GroupProject {
    std::unique_ptr<RunGroup> run(const std::string& id, const std::string& group = "deploy") const
    {
        return std::make_unique<RunGroup>(project.path(), group, id);
    }

    [[nodiscard]] std::vector<fs::path> files() const
    {
        std::vector<fs::path> found;
        std::error_code ec;
        for (const auto& entry : fs::recursive_directory_iterator(project.path(), ec))
            if (!entry.is_directory()) found.push_back(entry.path());
        return found;
    }

    TemporaryFolder project;
};

bool acquires(RunGroup& run)
{
    error_code ec;
    const bool acquired = run.acquire(ec);
    CHECK_MESSAGE(!ec, ec.message());
    return acquired;
}

}  // namespace

TEST_SUITE_BEGIN("run_group");

TEST_CASE_FIXTURE(GroupProject, "one run at a time has a group, in the order of arrival")
{
    auto a = run("a");
    auto b = run("b");
    auto c = run("c");
    CHECK(acquires(*a));
    CHECK(acquires(*a));
    CHECK_FALSE(acquires(*b));
    CHECK_FALSE(acquires(*c));
    CHECK(b->holder() == "a");
    a.reset();
    CHECK(c->holder().empty());
    CHECK_FALSE(acquires(*c));  // b came first
    CHECK(acquires(*b));
    CHECK(c->holder() == "b");
    auto d = run("d");
    CHECK_FALSE(acquires(*d));
    c.reset();  // waits no longer
    b.reset();
    CHECK(acquires(*d));
    CHECK(d->holder() == "d");
}

TEST_CASE_FIXTURE(GroupProject, "the file of a group is removed with the last run, and made again")
{
    auto a = run("a");
    auto b = run("b");
    CHECK(acquires(*a));
    CHECK_FALSE(acquires(*b));
    a.reset();
    CHECK(files().size() == 1);
    CHECK(acquires(*b));
    b.reset();
    CHECK(files().empty());
    auto c = run("c");
    CHECK(acquires(*c));
    CHECK(files().size() == 1);
}

TEST_CASE_FIXTURE(GroupProject, "groups do not exclude each other, and their names are no paths")
{
    std::vector<std::unique_ptr<RunGroup>> runs;
    for (const std::string name :
         {"a", "b", "A", "../../escape", "/tmp/escape", ".", "a/b", "a\nb"}) {
        runs.push_back(run("r", name));
        CHECK(acquires(*runs.back()));
    }
    runs.push_back(run("r", std::string(5000, 'x')));
    CHECK(acquires(*runs.back()));
    const auto folder = RunGroup::folder_of(project.path());
    CHECK(files().size() == runs.size());
    for (const auto& file : files()) CHECK(file.parent_path() == folder);
}

TEST_CASE_FIXTURE(GroupProject, "a process that dies frees its group, and its place in the queue")
{
    auto queued = run("queued");
    for (const bool waits : {false, true}) {
        CAPTURE(waits);
        auto before = run("before");
        if (waits) CHECK(acquires(*before));
        const auto child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            error_code ec;
            RunGroup dies(project.path(), "deploy", "dies");
            ::_exit(dies.acquire(ec) != waits && !ec ? 0 : 1);  // without a destructor
        }
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
        before.reset();
        CHECK(acquires(*queued));
        CHECK(queued->killed_holder() == (waits ? "" : "dies"));
        queued = run("queued");
    }
}

TEST_CASE_FIXTURE(GroupProject, "a file that is not its own is refused")
{
    {
        auto a = run("a");
        CHECK(acquires(*a));
        const auto file = files().at(0);
        a.reset();
        write_file(project / "target", "kept");
        fs::create_symlink(project / "target", file);
    }
    auto b = run("b");
    error_code ec;
    CHECK_FALSE(b->acquire(ec));
    CHECK(ec);
    b.reset();
    CHECK(project.read("target") == "kept");
}

TEST_SUITE_END();
