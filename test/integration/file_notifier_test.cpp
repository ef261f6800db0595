#include "autoexec/notifier.hpp"

#include "async/short_names.hpp"
#include "support/descriptor_limit.hpp"
#include "support/temporary_folder.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr char status_name[] = ".cursor-skill-status.json";

/// Watches one folder outside git; its claims are in it.
struct Watched {
    Watched()
    {
        fs::create_directory(tree);
        fs::create_directory(claims);
    }

    void watch()
    {
        if (!notifier) notifier = file_notifier(ctx.get_executor(), {folder.path(), status_name});
        subscription = notifier->watch(tree, [this] { ++calls; });
    }

    /// True if the subscriber is called because of what was done. A test that waits in vain fails.
    bool is_called()
    {
        const int before = calls;
        const auto limit = std::chrono::steady_clock::now() + 60s;
        while (calls == before && std::chrono::steady_clock::now() < limit) ctx.run_one_for(1s);
        return calls > before;
    }
    /// Handles all events so far: one that is seen follows them.
    int calls_after_all()
    {
        put(tree, status_name);
        CHECK(is_called());
        return calls;
    }

    /// As the protocol writes: a temporary file, and a rename.
    static void put(const fs::path& where, const std::string& name)
    {
        write_file(where / ".cursor-skill-tmp.1", "{}");
        fs::rename(where / ".cursor-skill-tmp.1", where / name);
    }

    TemporaryFolder folder;
    fs::path tree = folder / "tree";
    fs::path claims = tree / ".cursor-skill-claims";
    int calls = 0;
    asio::io_context ctx;
    std::shared_ptr<Notifier> notifier;
    Notifier::Subscription subscription;
};

}  // namespace

TEST_SUITE_BEGIN("file_notifier");

TEST_CASE_FIXTURE(Watched, "what any process does with the control files is notified")
{
    watch();
    CHECK(notifier->coverage(tree) == Coverage::all);
    SUBCASE("a status that is renamed to its name")
    {
        put(tree, status_name);
    }
    SUBCASE("a status that is written in place")
    {
        write_file(tree / status_name, "{}");
    }
    SUBCASE("a command")
    {
        put(tree, ".cursor-skill-command.txt");
    }
    SUBCASE("a request to stop")
    {
        put(tree, ".cursor-skill-cancel.json");
    }
    SUBCASE("a claim")
    {
        write_file(claims / "id.json", "{}");
    }
    SUBCASE("a status in a folder that was not there")
    {
        fs::create_directory(tree / ".cursor");
        CHECK(is_called());
        CHECK(notifier->coverage(tree) == Coverage::all);
        put(tree / ".cursor", status_name);
    }
    {
        notifier->notify(tree);
    }
    CHECK(is_called());
}

TEST_CASE_FIXTURE(Watched, "what the own process says it has changed is notified at once")
{
    watch();
    notifier->notify(tree);
    CHECK(calls == 1);
}

TEST_CASE_FIXTURE(Watched, "other files call nobody")
{
    watch();
    for (int n = 0; n < 100; ++n) put(tree, "work" + std::to_string(n));
    CHECK(calls_after_all() == 1);
}

TEST_CASE_FIXTURE(Watched, "a worktree that is moved, removed or loses its claims is not covered")
{
    watch();
    SUBCASE("moved")
    {
        fs::rename(tree, folder / "elsewhere");
    }
    SUBCASE("removed")
    {
        fs::remove_all(tree);
    }
    SUBCASE("its claims")
    {
        fs::remove_all(claims);
    }
    CHECK(is_called());
    while (notifier->coverage(tree) != Coverage::own_process) REQUIRE(is_called());
    const int before = calls;
    notifier->notify(tree);
    CHECK(calls == before + 1);
    // Again with the next subscription, if it is there.
    fs::create_directories(claims);
    watch();
    CHECK(notifier->coverage(tree) == Coverage::all);
    put(tree, status_name);
    CHECK(is_called());
}

TEST_CASE_FIXTURE(Watched, "any change in a folder that is no worktree is notified")
{
    const auto running = folder / "running";
    fs::create_directory(running);
    notifier = file_notifier(ctx.get_executor(), {folder.path(), status_name});
    write_file(running / "older", "");
    subscription = notifier->watch_folder(running, [this] { ++calls; });
    CHECK(notifier->coverage(running) == Coverage::all);
    CHECK(notifier->problem(running).empty());
    SUBCASE("a file")
    {
        write_file(running / "any", "");
        CHECK(is_called());
    }
    SUBCASE("a folder")
    {
        fs::create_directory(running / "cancel");
        CHECK(is_called());
    }
    SUBCASE("an entry that is moved away")
    {
        fs::rename(running / "older", folder / "older");
        CHECK(is_called());
    }
    SUBCASE("its end")
    {
        fs::remove_all(running);
        CHECK(is_called());
        while (notifier->coverage(running) != Coverage::own_process) REQUIRE(is_called());
        CHECK_FALSE(notifier->problem(running).empty());
    }
}

TEST_CASE_FIXTURE(Watched, "the entries of a folder that have changed are named")
{
    notifier = file_notifier(ctx.get_executor(), {folder.path(), status_name});
    std::set<std::string> names;
    const auto named =
        notifier->watch_entries(tree, [&](const std::string& name) { names.insert(name); });
    CHECK(notifier->coverage(tree) == Coverage::all);
    const auto await = [&](const std::string& name) {
        while (!names.contains(name)) REQUIRE(ctx.run_one_for(60s) == 1);
        names.clear();
    };
    std::ofstream file(tree / "open");
    await("open");
    file << "written, and not closed" << std::flush;
    await("open");
    fs::rename(tree / "open", tree / "renamed");
    while (!names.contains("open")) REQUIRE(ctx.run_one_for(60s) == 1);
    await("renamed");
    fs::remove(tree / "renamed");
    await("renamed");
    file.close();  // the folder of an open file is not gone
    fs::remove_all(tree);
    await("");  // all
}

TEST_CASE_FIXTURE(Watched, "of a notifier for folders, worktrees get what the own process changes")
{
    FileNotifierOptions options{folder.path(), status_name};
    options.worktrees = false;
    notifier = file_notifier(ctx.get_executor(), options);
    watch();
    CHECK(notifier->coverage(tree) == Coverage::own_process);
    CHECK(notifier->problem(tree).empty());
    put(tree, status_name);
    notifier->notify(tree);
    CHECK(calls == 1);
    const auto other = notifier->watch_folder(folder.path(), [] {});
    CHECK(notifier->coverage(folder.path()) == Coverage::all);
}

TEST_CASE_FIXTURE(Watched, "when events are lost, all are called")
{
    watch();
    const auto other = folder / "other";
    fs::create_directories(other / ".cursor-skill-claims");
    bool other_called = false;
    const auto second = notifier->watch(other, [&] { other_called = true; });
    // More than the kernel keeps.
    const int kept = std::stoi(read_file("/proc/sys/fs/inotify/max_queued_events"));
    write_file(tree / "a", "");
    const auto cursor = tree / ".cursor";
    for (int n = 0; n < kept / 2 + 1000; ++n) {
        fs::rename(tree / "a", tree / "b");
        fs::rename(tree / "b", tree / "a");
    }
    fs::create_directory(cursor);
    while (!other_called) REQUIRE(ctx.run_one_for(60s) == 1);
    CHECK(calls > 0);
    // What was lost may have been a new folder.
    CHECK(notifier->coverage(tree) == Coverage::all);
    put(cursor, status_name);
    CHECK(is_called());
}

TEST_CASE_FIXTURE(Watched, "many changes at once are passed on in slices, between other handlers")
{
    watch();
    constexpr std::size_t trees = 600;
    std::set<fs::path> seen;
    std::size_t in_this_turn = 0;
    std::size_t most = 0;
    std::vector<fs::path> paths;
    std::vector<Notifier::Subscription> subscriptions;
    for (std::size_t i = 0; i < trees; ++i) {
        const auto& path = paths.emplace_back(folder / ("tree" + std::to_string(i)));
        fs::create_directories(path / ".cursor-skill-claims");
        subscriptions.push_back(notifier->watch(path, [&, path] {
            ++in_this_turn;
            seen.insert(path);
        }));
    }
    for (const auto& path : paths) put(path, status_name);
    // Another handler of the context, which is always ready.
    int beats = 0;
    std::function<void()> beat = [&] {
        most = std::max(most, std::exchange(in_this_turn, 0));
        if (seen.size() < trees && ++beats < 1'000'000) asio::post(ctx, beat);
    };
    beat();
    while (seen.size() < trees) REQUIRE(ctx.run_one_for(60s) == 1);
    CHECK(most > 0);
    CHECK(most <= 256);
}

TEST_CASE_FIXTURE(Watched, "what is not watched keeps no context running")
{
    watch();
    CHECK(ctx.poll() > 0);  // it reads now
    SUBCASE("one subscription") {}
    SUBCASE("two of one folder")
    {
        const auto second = notifier->watch(tree, [] {});
    }
    SUBCASE("again after the end")
    {
        subscription.reset();
        ctx.run();
        ctx.restart();
        watch();
        put(tree, status_name);
        CHECK(is_called());
    }
    subscription.reset();
    ctx.run();
    CHECK(ctx.stopped());
}

TEST_CASE("the context may end while something is watched")
{
    auto watched = std::make_unique<Watched>();
    watched->watch();
    bool reads = false;
    SUBCASE("before the first read") {}
    SUBCASE("while it reads")
    {
        reads = true;
    }
    if (reads) CHECK(watched->ctx.poll() > 0);
    // The notifier first, then the subscription's owner and the context with what it holds.
    watched->notifier.reset();
    watched.reset();
}

TEST_CASE_FIXTURE(Watched, "without descriptors, only the own process is covered")
{
    {
        const NoDescriptorsLeft none;
        watch();
        ctx.poll();
        CHECK(notifier->coverage(tree) == Coverage::own_process);
        CHECK(notifier->problem(tree) == "Too many open files");
    }
    const int before = calls;
    notifier->notify(tree);
    CHECK(calls == before + 1);
}

TEST_CASE_FIXTURE(Watched, "an agent is called for commands and requests to stop alone")
{
    int agent_calls = 0;
    int expected = 0;
    watch();
    const auto agent = notifier->watch_commands(tree, [&] { ++agent_calls; });
    SUBCASE("a status")
    {
        put(tree, status_name);
    }
    SUBCASE("a claim")
    {
        write_file(claims / "id.json", "{}");
    }
    SUBCASE("what another agent of this process has changed")
    {
        asio::post(ctx, [this] { notifier->notify_report(tree); });
    }
    SUBCASE("a command")
    {
        put(tree, ".cursor-skill-command.txt");
        expected = 1;
    }
    SUBCASE("a request to stop")
    {
        put(tree, ".cursor-skill-cancel.json");
        expected = 1;
    }
    SUBCASE("what an executor of this process has changed")
    {
        asio::post(ctx, [this] { notifier->notify(tree); });
        expected = 1;
    }
    CHECK(is_called());
    CHECK(agent_calls == expected);
}

TEST_CASE_FIXTURE(Watched, "an agent's worktree is covered without claims, an executor's is not")
{
    fs::remove_all(claims);
    notifier = file_notifier(ctx.get_executor(), {folder.path(), status_name});
    const auto agent = notifier->watch_commands(tree, [] {});
    CHECK(notifier->coverage(tree) == Coverage::all);
    watch();
    CHECK(notifier->coverage(tree) == Coverage::own_process);
    subscription.reset();
    CHECK(notifier->coverage(tree) == Coverage::all);
    fs::create_directory(claims);
    watch();
    CHECK(notifier->coverage(tree) == Coverage::all);
    write_file(claims / "id.json", "{}");
    CHECK(is_called());
}

TEST_CASE("of the own process, too, an agent is not called for reports")
{
    const auto notifier = local_notifier();
    int executor_calls = 0;
    int agent_calls = 0;
    const auto executor = notifier->watch("/tree", [&] { ++executor_calls; });
    const auto agent = notifier->watch_commands("/tree", [&] { ++agent_calls; });
    notifier->notify_report("/tree");
    CHECK(executor_calls == 1);
    CHECK(agent_calls == 0);
    notifier->notify("/tree");
    CHECK(executor_calls == 2);
    CHECK(agent_calls == 1);
}

TEST_SUITE_END();
