#include "agent/tree_snapshot.hpp"
#include "support/temporary_folder.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

using namespace autoexec;
using namespace autoexec::test;
namespace fs = std::filesystem;

namespace {

timespec change_time(const fs::path& path)
{
    struct stat info {};
    REQUIRE(::lstat(path.c_str(), &info) == 0);
    return info.st_ctim;
}

bool is_before(const timespec& a, const timespec& b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

struct WatchedTree {
    WatchedTree()
    {
        for (const auto* const folder : {"tree/.git/objects", "tree/.git/refs", "tree/src/inner"})
            fs::create_directories(folder_ / folder);
        write(".git/HEAD", "ref: refs/heads/main\n");
        write(".git/index", "");
        write("README", "old");
        write("src/a.cpp", "old");
        write("src/inner/b.cpp", "old");
        begin("src/inner/b.cpp");
    }

    void write(const std::string& path, std::string_view text) const
    {
        folder_.write("tree/" + path, text);
    }
    [[nodiscard]] fs::path path() const { return folder_ / "tree"; }

    // As the agent's status does, once the clock of the file system has moved on.
    void begin(const fs::path& newest)
    {
        const auto before = change_time(path() / newest);
        do write(".cursor-skill-status.json", "running");
        while (!is_before(before, change_time(path() / ".cursor-skill-status.json")));
        fs::remove(path() / ".cursor-skill-status.json");
        write(".cursor-skill-status.json", "running");
        snapshot = agent::TreeSnapshot::take(path(), ".cursor-skill-status.json");
    }

    // `meanwhile` runs as soon as the comparison lets others run.
    bool unchanged(const std::function<void()>& meanwhile = [] {})
    {
        asio::io_context context;
        bool is_compared = false;
        bool same = false;
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                auto comparing = snapshot->unchanged();
                same = co_await std::move(comparing);
                is_compared = true;
            },
            asio::detached);
        asio::post(context, [&] {
            if (!is_compared) meanwhile();
        });
        context.run();
        CHECK(is_compared);
        return same;
    }

    TemporaryFolder folder_;
    std::optional<agent::TreeSnapshot> snapshot;
};

}  // namespace

TEST_CASE_FIXTURE(WatchedTree, "a tree in which nothing was changed is seen")
{
    REQUIRE(snapshot);
    CHECK(unchanged());
    write(".cursor-skill-status.json", "completed");
    write(".cursor-skill-tmp.1", "completed");
    write(".tapps-agents/output/a.log", "text");
    CHECK(unchanged());
}

TEST_CASE_FIXTURE(WatchedTree, "each change in a tree is seen")
{
    REQUIRE(snapshot);
    SUBCASE("of a file")
    {
        write("README", "new");
    }
    SUBCASE("of a file further down")
    {
        write("src/inner/b.cpp", "new");
    }
    SUBCASE("a new file")
    {
        write("new", "");
    }
    SUBCASE("a new file further down")
    {
        write("src/inner/new", "");
    }
    SUBCASE("a new folder")
    {
        fs::create_directory(path() / "new");
    }
    SUBCASE("a file less")
    {
        fs::remove(path() / "README");
    }
    SUBCASE("a file less further down")
    {
        fs::remove(path() / "src/a.cpp");
    }
    SUBCASE("another name")
    {
        fs::rename(path() / "README", path() / "LIESMICH");
    }
    SUBCASE("a mode")
    {
        fs::permissions(path() / "README", fs::perms::owner_all);
    }
    SUBCASE("a link instead of a file")
    {
        fs::remove(path() / "src/a.cpp");
        fs::create_symlink("/dev/null", path() / "src/a.cpp");
    }
    SUBCASE("the index")
    {
        write(".git/index", "new");
    }
    SUBCASE("a commit")
    {
        write(".git/logs/HEAD", "new");
    }
    SUBCASE("a time that is set back")
    {
        write("README", "new");
        fs::last_write_time(path() / "README", fs::file_time_type::min());
    }
    SUBCASE("the tree itself")
    {
        fs::remove_all(path());
    }
    CHECK_FALSE(unchanged());
}

TEST_CASE_FIXTURE(WatchedTree, "a tree with too much in it, or outside git, is not compared")
{
    fs::path deep = "deep";
    for (int i = 0; i < 70; ++i) deep /= "d";
    fs::create_directories(path() / deep);
    begin(deep);
    REQUIRE(snapshot);
    CHECK_FALSE(unchanged());
    fs::remove_all(path() / ".git");
    CHECK_FALSE(agent::TreeSnapshot::take(path(), "s"));
}

TEST_CASE_FIXTURE(WatchedTree, "others run while a large tree is compared")
{
    for (int i = 0; i < 1500; ++i) write("src/" + std::to_string(i), "");
    begin("src/1499");
    REQUIRE(snapshot);
    bool others_ran = false;
    CHECK(unchanged([&] { others_ran = true; }));
    CHECK(others_ran);
    CHECK_FALSE(unchanged([&] { fs::remove_all(path()); }));
}

TEST_CASE_FIXTURE(WatchedTree, "of 20,000 entries, one more is too many")
{
    // README, src, a.cpp, inner and b.cpp are there.
    int made = 5;
    SUBCASE("in one folder") {}
    SUBCASE("in several")
    {
        for (; made < 10'000; ++made) write("src/inner/" + std::to_string(made), "");
    }
    std::string last;
    for (; made < 20'000; ++made) write(last = std::to_string(made), "");
    begin(last);
    REQUIRE(snapshot);
    CHECK(unchanged());
    write("one more", "");
    begin("one more");
    CHECK_FALSE(unchanged());
}
