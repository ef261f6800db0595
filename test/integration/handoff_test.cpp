#include "handoff/file_handoff.hpp"

#include "handoff/claims.hpp"
#include "support/planted.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <thread>

using namespace autoexec;
using namespace autoexec::handoff;
using namespace autoexec::test;
using State = FoundFile::State;
namespace fs = std::filesystem;
namespace control = autoexec::control_files;

namespace {

const PublishedFiles files{"the command", "simple", "metadata", "attempt"};

/// A worktree outside git, and what an executor does there.
struct Tree : TemporaryFolder {
    fs::path where = path();
    FileHandoffOptions options;
    std::shared_ptr<Handoff> handoff;

    std::unique_ptr<Mailbox> open()
    {
        if (!handoff) handoff = file_handoff(options);
        error_code ec;
        std::string why;
        auto mailbox = handoff->open(where, ec, why);
        CHECK_MESSAGE(mailbox, why);
        CHECK(static_cast<bool>(ec) == !mailbox);
        return mailbox;
    }
    std::unique_ptr<Mailbox> locked()
    {
        auto mailbox = open();
        CHECK_FALSE(mailbox->try_lock());
        return mailbox;
    }
    error_code fails_to_open(std::string& why)
    {
        error_code ec;
        CHECK_FALSE(file_handoff(options)->open(where, ec, why));
        return ec;
    }

    std::set<std::string> names() const
    {
        std::set<std::string> found;
        for (const auto& entry : fs::directory_iterator(path()))
            found.insert(entry.path().filename().string());
        return found;
    }
    fs::perms mode(std::string_view name) const { return fs::status(*this / name).permissions(); }
    void write(std::string_view name, std::string_view text) const
    {
        write_file(*this / name, text);
    }
};

/// A git directory as `git init` leaves it, as far as anybody looks.
void make_git_dir(const fs::path& dir)
{
    write_file(dir / "HEAD", "ref: refs/heads/main\n");
    fs::create_directories(dir / "objects");
    fs::create_directories(dir / "refs");
}

struct GitTree : Tree {
    GitTree() { make_git_dir(*this / ".git"); }
    fs::path claims() const { return *this / ".git/autoexec/claims"; }
};

/// An agent's claim on an attempt in the tree at `path`.
std::optional<Claim> take(const fs::path& path, const std::string& attempt_id,
                          const std::string& content = "{}")
{
    error_code ec;
    const files::UniqueFd tree(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto folder = open_claims_folder(tree.get(), path, ec);
    REQUIRE(folder);
    auto claim = Claim::create(folder.get(), attempt_id, content, ec);
    CHECK_FALSE(ec);
    return claim;
}

void make_old(const fs::path& path)
{
    fs::last_write_time(path, fs::last_write_time(path) - std::chrono::minutes{10});
}

std::vector<std::string> lines_of(const fs::path& path)
{
    std::ifstream in(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

}  // namespace

TEST_SUITE_BEGIN("handoff");

TEST_CASE_FIXTURE(Tree, "the command appears whole, last, and private; no temporary stays")
{
    for (const auto durability : {Durability::process, Durability::power}) {
        const auto mailbox = locked();
        CHECK_FALSE(mailbox->prepare());
        const int watcher = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        ::inotify_add_watch(watcher, path().c_str(), IN_MOVED_TO | IN_MODIFY);
        REQUIRE_FALSE(mailbox->publish(files, durability));

        std::vector<std::string> appeared;
        alignas(inotify_event) std::array<char, 4096> buffer{};
        const auto n = ::read(watcher, buffer.data(), buffer.size());
        for (std::size_t at = 0; at < static_cast<std::size_t>(std::max(n, ssize_t{0}));) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            const char* const name = buffer.data() + at + sizeof event;
            appeared.emplace_back(name);
            if ((event.mask & IN_MOVED_TO) == 0) CHECK(appeared.back() != control::command);
            at += sizeof event + event.len;
        }
        ::close(watcher);
        REQUIRE_FALSE(appeared.empty());
        CHECK(appeared.back() == control::command);  // the others are for people
        for (const auto* name : {control::metadata, control::simple, control::command})
            CHECK(mode(name) == fs::perms{0600});
        CHECK(read_file(*this / control::command) == files.command);
        CHECK(read_file(*this / control::simple) == files.simple);
        CHECK(read_file(*this / control::metadata) == files.metadata);
        CHECK(names().size() == 4);  // and the claims' folder
        CHECK_FALSE(mailbox->clean("a", false));
    }
    CHECK(names().empty());
}

TEST_CASE_FIXTURE(Tree, "files can be made readable for an agent of another user")
{
    options.file_mode = 0664;
    const auto mailbox = locked();
    REQUIRE_FALSE(mailbox->publish(files, Durability::process));
    REQUIRE_FALSE(mailbox->request_stop("stop"));
    for (const auto* name : {control::metadata, control::simple, control::command, control::cancel})
        CHECK(mode(name) == fs::perms{0664});
}

TEST_CASE_FIXTURE(Tree, "what was planted where the executor writes is replaced")
{
    TemporaryFolder outside;
    write_file(outside / "target", "precious");
    for (const auto* const raw :
         {control::command, control::simple, control::metadata, control::cancel}) {
        const std::string name = raw;
        for (const auto kind : all_planted) {
            CAPTURE(name);
            CAPTURE(name_of(kind));
            if (!plant(kind, *this / name, outside / "target")) continue;
            const auto mailbox = locked();
            CHECK_FALSE(mailbox->prepare());
            CHECK_FALSE(mailbox->publish(files, Durability::process));
            CHECK_FALSE(mailbox->request_stop("stop"));
            CHECK(fs::is_regular_file(fs::symlink_status(*this / name)));
            CHECK_FALSE(mailbox->clean("a", false));
            CHECK(names() == std::set<std::string>{control::claims_folder});
            CHECK(read_file(outside / "target") == "precious");
            CHECK(std::distance(fs::directory_iterator(outside.path()), {}) == 1);
        }
    }
    CHECK(names().empty());
}

TEST_CASE_FIXTURE(Tree,
                  "what was planted as a status is named, not read, and goes with the next command")
{
    TemporaryFolder outside;
    write_file(outside / "target", R"({"status": "completed"})");
    for (const auto* const place :
         {".cursor-skill-status.json", ".cursor/.cursor-skill-status.json"}) {
        const std::string name = place;
        for (const auto kind : all_planted) {
            CAPTURE(name);
            CAPTURE(name_of(kind));
            if (!plant(kind, *this / name, outside / "target")) continue;
            const auto mailbox = locked();
            const auto found = mailbox->look();
            REQUIRE(found.size() == 1);
            CHECK(found.front().state == State::unsafe);
            CHECK(found.front().text.empty());
            CHECK_FALSE(mailbox->prepare());
            CHECK(mailbox->look().empty());
            CHECK(fs::exists(outside / "target"));
        }
    }
}

TEST_CASE_FIXTURE(Tree, "a folder in place of a control file is removed with its contents")
{
    TemporaryFolder outside;
    write_file(outside / "target", "precious");
    for (const std::string name :
         {control::command, control::simple, control::metadata, control::cancel, control::status,
          ".cursor/.cursor-skill-status.json", ".cursor-skill-tmp.0123"}) {
        CAPTURE(name);
        const auto make = [&] {
            fs::remove_all(*this / name);
            write(name + "/a/b/file", "text");
            fs::create_directory_symlink(outside.path(), *this / name / "link");
            fs::permissions(*this / name / "a", fs::perms{0500});
        };
        const auto mailbox = locked();
        make();
        CHECK_FALSE(mailbox->prepare());
        make();  // while the command runs
        CHECK_FALSE(mailbox->publish(files, Durability::process));
        CHECK_FALSE(mailbox->request_stop("stop"));
        CHECK_FALSE(mailbox->clean("a", false));
        fs::remove(*this / ".cursor");
        CHECK(names() == std::set<std::string>{control::claims_folder});
        CHECK(read_file(outside / "target") == "precious");
    }
}

TEST_CASE_FIXTURE(Tree, "a folder too large to be removed at once is out of the way at once")
{
    const auto name = *this / control::cancel;
    for (int i = 0; i < 3500; ++i) fs::create_directories(name / std::to_string(i));
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->prepare());
    CHECK_FALSE(fs::exists(name));
    CHECK(names().size() == 2);  // the rest, as a temporary, and the claims' folder
    CHECK_FALSE(mailbox->prepare());
    CHECK(names() == std::set<std::string>{control::claims_folder});
}

TEST_CASE_FIXTURE(Tree,
                  "a folder with the name that a user chose for the status stays if it is used")
{
    options.status_file_name = "docs";
    write("docs/page", "precious");
    write(".cursor/docs/page", "precious");
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->prepare());
    CHECK_FALSE(mailbox->clean("a", false));
    CHECK(read_file(*this / "docs/page") == "precious");
    CHECK(read_file(*this / ".cursor/docs/page") == "precious");
    CHECK(mailbox->look().size() == 2);
}

TEST_CASE_FIXTURE(Tree, "a command that was left is gone before claims are looked for")
{
    write(control::command, files.command);
    const auto mailbox = locked();
    CHECK(mailbox->live_claim() == std::nullopt);
    CHECK(names() == std::set<std::string>{control::claims_folder});
}

TEST_CASE_FIXTURE(Tree, "an agent that has claimed a command that was left is found")
{
    write(control::command, files.command);
    const auto mailbox = locked();
    auto claim = take(path(), "a");
    SUBCASE("while it works") {}
    SUBCASE("when it has removed the command")
    {
        fs::remove(*this / control::command);
    }
    CHECK(mailbox->live_claim() == "a");
    claim.reset();
    CHECK(mailbox->live_claim() == std::nullopt);
}

TEST_CASE_FIXTURE(Tree, "what was there when the worktree was locked is removed once")
{
    write(control::status, "{}");
    write(".cursor-skill-tmp.of-a-dead-agent", "");
    const auto mailbox = locked();
    CHECK(mailbox->live_claim() == std::nullopt);
    CHECK_FALSE(mailbox->prepare());
    CHECK(names() == std::set<std::string>{control::claims_folder});
    // An attempt has left it.
    write(control::status, "{}");
    write(".cursor-skill-tmp.of-a-dead-agent", "");
    CHECK_FALSE(mailbox->prepare());
    CHECK(names() == std::set<std::string>{control::claims_folder});
}

TEST_CASE_FIXTURE(Tree, "a status in either place is found, the root's first")
{
    const auto mailbox = open();
    CHECK(mailbox->look().empty());
    write(".cursor/.cursor-skill-status.json", "other");
    REQUIRE(mailbox->look().size() == 1);
    write(control::status, "root");
    const auto found = mailbox->look();
    REQUIRE(found.size() == 2);
    CHECK(found[0].text == "root");
    CHECK(found[1].text == "other");
    CHECK(found[0].stamp != found[1].stamp);
}

TEST_CASE_FIXTURE(Tree, "a status too large, of another user, or by another name")
{
    options.max_status_bytes = 10;
    options.status_file_name = "other.json";
    const auto mailbox = open();
    write(control::status, "not looked for");
    CHECK(mailbox->look().empty());
    write("other.json", "12345678901");
    REQUIRE(mailbox->look().size() == 1);
    CHECK(mailbox->look().front().state == State::too_large);
    write("other.json", "1234567890");
    CHECK(mailbox->look().front().state == State::present);
    if (::geteuid() != 0) return;
    REQUIRE(::chown((*this / "other.json").c_str(), 12345, 12345) == 0);
    CHECK(mailbox->look().front().state == State::unsafe);
    options.allowed_owners = {12345};
    handoff.reset();
    const auto trusting = open();
    CHECK(trusting->look().front().state == State::present);
    // The worktree's owner is believed without being named.
    options.allowed_owners.clear();
    handoff.reset();
    REQUIRE(::chown(path().c_str(), 12345, 12345) == 0);
    CHECK(open()->look().front().state == State::present);
}

TEST_CASE_FIXTURE(Tree, "a .cursor that leads outside is neither read nor cleaned")
{
    TemporaryFolder outside;
    write_file(outside / control::status, R"({"status": "completed"})");
    fs::create_directory_symlink(outside.path(), *this / ".cursor");
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->prepare());
    const auto found = mailbox->look();
    REQUIRE(found.size() == 1);
    CHECK(found.front().state == State::unsafe);
    CHECK_FALSE(mailbox->clean("a", false));
    CHECK(fs::exists(outside / control::status));
}

TEST_CASE_FIXTURE(Tree, "a .cursor that is a file is no second place")
{
    write(".cursor", "");
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->prepare());
    for (const auto& file : mailbox->look()) CHECK(file.state != State::present);
    CHECK(fs::exists(*this / ".cursor"));
}

TEST_CASE_FIXTURE(Tree, "what earlier attempts left goes before the next one")
{
    for (const auto* name :
         {control::status, control::cancel, control::command, ".cursor/.cursor-skill-status.json",
          ".cursor-skill-tmp.0123", ".cursor-skill-tmp.killed"})
        write(name, "old");
    write(".cursor/rules", "mine");
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->prepare());
    CHECK(names() == std::set<std::string>{".cursor", control::claims_folder});
    CHECK(fs::exists(*this / ".cursor/rules"));
}

TEST_CASE_FIXTURE(Tree, "the lock is held by one mailbox, and given back at its end")
{
    auto first = locked();
    const auto second = open();
    CHECK(second->try_lock() == errc::worktree_busy);
    {
        const files::UniqueFd tree(::open(path().c_str(), O_RDONLY | O_DIRECTORY));
        CHECK(executor_holds_lock(tree.get(), path()));
        first.reset();
        CHECK_FALSE(executor_holds_lock(tree.get(), path()));
    }
    CHECK_FALSE(second->try_lock());
}

TEST_CASE_FIXTURE(Tree, "a child that inherited the descriptors does not keep the lock")
{
    auto first = locked();
    int done[2];
    REQUIRE(::pipe2(done, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        char byte = 0;
        ::close(done[1]);
        (void)!::read(done[0], &byte, 1);
        ::_exit(0);
    }
    first.reset();
    CHECK_FALSE(open()->try_lock());
    ::close(done[1]);
    ::waitpid(child, nullptr, 0);
    ::close(done[0]);
}

TEST_CASE_FIXTURE(Tree, "the end of an executor's process frees the worktree")
{
    const pid_t child = ::fork();
    if (child == 0) {
        const auto mailbox = open();
        ::_exit(mailbox->try_lock() || mailbox->publish(files, Durability::process) ? 1 : 0);
    }
    int status = 1;
    ::waitpid(child, &status, 0);
    REQUIRE(status == 0);
    CHECK(fs::exists(*this / control::command));
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->prepare());
    CHECK_FALSE(fs::exists(*this / control::command));
}

TEST_CASE_FIXTURE(Tree, "a claim is none, live, free, then none again")
{
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->prepare());
    CHECK(mailbox->claim("a") == ClaimState::none);
    auto claim = take(path(), "a");
    REQUIRE(claim);
    CHECK_FALSE(take(path(), "a"));  // somebody has it
    CHECK(mailbox->claim("a") == ClaimState::live);
    CHECK(mailbox->claim("b") == ClaimState::none);
    CHECK(mailbox->live_claim() == "a");
    claim.reset();
    CHECK(mailbox->claim("a") == ClaimState::free);
    CHECK_FALSE(take(path(), "a"));  // an attempt is started once
    CHECK_FALSE(mailbox->clean("a", false));
    CHECK(mailbox->claim("a") == ClaimState::none);
}

TEST_CASE_FIXTURE(Tree, "a claim that was dropped is none, not a dead agent's")
{
    const auto mailbox = locked();
    auto claim = take(path(), "a");
    CHECK(mailbox->claim("a") == ClaimState::live);
    const files::UniqueFd folder(
        ::open((*this / control::claims_folder).c_str(), O_RDONLY | O_DIRECTORY));
    claim->drop(folder.get(), "a");
    CHECK(mailbox->claim("a") == ClaimState::none);
    CHECK(take(path(), "a"));
}

TEST_CASE_FIXTURE(Tree, "a claim is checked by its file, whatever happens to its path")
{
    const auto mailbox = locked();
    const auto folder = *this / control::claims_folder;
    const auto file = folder / "a.json";
    auto claim = take(path(), "a");
    CHECK(mailbox->claim("a") == ClaimState::live);
    auto after = ClaimState::none;
    SUBCASE("it is removed")
    {
        fs::remove(file);
    }
    SUBCASE("its folder is removed")
    {
        fs::remove_all(folder);
    }
    SUBCASE("it is replaced")
    {
        write_file(folder / "other", "{}");
        fs::rename(folder / "other", file);
        after = ClaimState::free;  // of the file that is there by then
    }
    SUBCASE("it is rewritten")
    {
        write_file(file, R"({"host": "elsewhere"})");
        after = ClaimState::free;
    }
    SUBCASE("it is emptied and made unreadable")
    {
        write_file(file, "");
        fs::permissions(file, fs::perms::none);
        after = ClaimState::free;
    }
    CHECK(mailbox->claim("a") == ClaimState::live);
    claim->release();
    auto first = mailbox->claim("a");
    if (after == ClaimState::free && first == ClaimState::none) first = mailbox->claim("a");
    CHECK(first == after);
}

TEST_CASE_FIXTURE(Tree, "a lock that is held here outweighs the host that a claim names")
{
    const auto mailbox = locked();
    auto claim = take(path(), "a", R"({"host": "elsewhere"})");
    CHECK(mailbox->claim("a") == ClaimState::live);
    claim->release();
    CHECK(mailbox->claim("a") == ClaimState::remote);
}

TEST_CASE_FIXTURE(Tree, "without the worktree's lock, a live claim is found and nothing is changed")
{
    const auto mailbox = open();
    CHECK(mailbox->live_claim() == std::nullopt);
    CHECK(names().empty());
    auto claim = take(path(), "a");
    (void)take(path(), "dead");
    CHECK(mailbox->live_claim() == "a");
    claim->release();
    CHECK(mailbox->live_claim() == std::nullopt);
    CHECK(fs::exists(*this / control::claims_folder / "dead.json"));
}

TEST_CASE("a forked process has an id of its own")
{
    CHECK(process_id() == ::getpid());
    const pid_t child = ::fork();
    if (child == 0) ::_exit(process_id() == ::getpid() ? 0 : 1);
    int status = 1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
}

TEST_CASE_FIXTURE(Tree, "releasing a claim raises a file event once the last copy is closed")
{
    const auto mailbox = locked();
    auto claim = take(path(), "a");
    const files::UniqueFd watcher(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    const auto folder = *this / control::claims_folder;
    REQUIRE(::inotify_add_watch(watcher.get(), folder.c_str(), IN_CLOSE_WRITE) >= 0);
    const auto raised = [&] {
        alignas(inotify_event) std::array<char, 4096> buffer{};
        return ::read(watcher.get(), buffer.data(), buffer.size()) > 0;
    };
    files::UniqueFd copy(::fcntl(claim->descriptor(), F_DUPFD_CLOEXEC, 0));
    REQUIRE(copy);
    CHECK_FALSE(raised());
    claim->release();
    CHECK(mailbox->claim("a") == ClaimState::free);
    CHECK_FALSE(raised());
    copy = {};
    CHECK(raised());
}

TEST_CASE_FIXTURE(Tree, "a dead agent's claim and old temporaries are swept away")
{
    const auto folder = *this / control::claims_folder;
    (void)take(path(), "dead");
    const auto mailbox = locked();
    write_file(folder / ".tmp.young", "");
    write_file(folder / ".tmp.old", "");
    make_old(folder / ".tmp.old");
    write_file(folder / "far.json", R"({"host": "elsewhere"})");
    write_file(folder / "far-old.json", R"({"host": "elsewhere"})");
    make_old(folder / "far-old.json");
    fs::create_symlink("/etc/passwd", folder / "link.json");
    REQUIRE(::mkfifo((folder / "fifo.json").c_str(), 0600) == 0);
    CHECK(mailbox->live_claim() == std::nullopt);
    std::set<std::string> left;
    for (const auto& entry : fs::directory_iterator(folder))
        left.insert(entry.path().filename().string());
    CHECK(left == std::set<std::string>{".tmp.young", "far.json", "link.json", "fifo.json"});
    CHECK(mailbox->claim("far") == ClaimState::remote);
    CHECK(mailbox->claim("link") == ClaimState::none);
    CHECK(mailbox->claim("fifo") == ClaimState::none);
}

TEST_CASE_FIXTURE(Tree, "claims of strange ids stay in their folder")
{
    const auto mailbox = locked();
    for (const std::string id : {"../../escape", "/etc/x", ".", "..", "a b\n", ".lock"}) {
        CAPTURE(id);
        auto claim = take(path(), id);
        REQUIRE(claim);
        CHECK(mailbox->claim(id) == ClaimState::live);
        CHECK_FALSE(mailbox->clean(id, false));
        claim.reset();
        CHECK(mailbox->claim(id) == ClaimState::none);
    }
    CHECK(names() == std::set<std::string>{control::claims_folder});
}

TEST_CASE_FIXTURE(Tree, "outside git the folder of claims is removed when it is empty")
{
    {
        const auto mailbox = locked();
        CHECK(mode(control::claims_folder) == fs::perms{0700});
    }
    CHECK(names().empty());
    std::optional<Claim> claim;
    {
        const auto mailbox = locked();
        claim = take(path(), "a");
        CHECK_FALSE(mailbox->clean("a", true));
    }
    CHECK(names() == std::set<std::string>{control::claims_folder});
}

TEST_CASE_FIXTURE(Tree, "an executor that waits for the lock sees the claims of its own time")
{
    // The one that leaves removes the folder of claims that the one that waits has opened.
    std::array<int, 2> unseen{};
    const auto shared = file_handoff();
    const auto engine = [&](int number) {
        for (int round = 0; round < 300; ++round) {
            error_code ec;
            std::string why;
            const auto mailbox = shared->open(path(), ec, why);
            while (mailbox->try_lock()) std::this_thread::yield();
            const auto id = std::to_string(number) + '-' + std::to_string(round);
            const files::UniqueFd tree(::open(path().c_str(), O_RDONLY | O_DIRECTORY));
            // The other may remove the folder between our opening it and linking into it.
            std::optional<Claim> claim;
            while (!claim) {
                const auto folder = open_claims_folder(tree.get(), path(), ec);
                claim = Claim::create(folder.get(), id, "{}", ec);
            }
            if (mailbox->claim(id) != ClaimState::live) ++unseen[static_cast<std::size_t>(number)];
            (void)mailbox->clean(id, false);
            const auto folder = open_claims_folder(tree.get(), path(), ec);
            claim->drop(folder.get(), id);
        }
    };
    std::thread other(engine, 1);
    engine(0);
    other.join();
    CHECK(unseen[0] + unseen[1] == 0);
}

TEST_CASE_FIXTURE(GitTree, "in git the claims lie in the git directory, out of the command's reach")
{
    {
        const auto mailbox = locked();
        const auto claim = take(path(), "a");
        CHECK(fs::exists(claims() / "a.json"));
        CHECK(mailbox->claim("a") == ClaimState::live);
        CHECK_FALSE(mailbox->clean("a", false));
    }
    CHECK(names() == std::set<std::string>{".git"});
}

TEST_CASE_FIXTURE(GitTree, "two folders of one repository do not see each other's claims")
{
    fs::create_directories(*this / "a");
    fs::create_directories(*this / "b");
    where = *this / "a";
    const auto in_a = locked();
    CHECK_FALSE(in_a->prepare());
    auto claim = take(*this / "a", "of-a", R"({"worktree": ")" + (*this / "a").string() + R"("})");
    CHECK(in_a->claim("of-a") == ClaimState::live);

    where = *this / "b";
    const auto in_b = locked();
    CHECK(in_b->live_claim() == std::nullopt);
    claim.reset();
    CHECK(in_b->live_claim() == std::nullopt);
    CHECK(in_a->claim("of-a") == ClaimState::free);  // not swept away by the other
    CHECK(in_a->live_claim() == std::nullopt);       // but by its own
    CHECK_FALSE(fs::exists(claims() / "of-a.json"));
}

TEST_CASE_FIXTURE(GitTree, "a claim whose worktree is missing is removed by any executor")
{
    (void)take(path(), "gone", R"({"worktree": "/no/such/folder"})");
    const auto mailbox = locked();
    CHECK(mailbox->live_claim() == std::nullopt);
    CHECK_FALSE(fs::exists(claims() / "gone.json"));
}

TEST_CASE_FIXTURE(GitTree, "the control files are excluded from git, once")
{
    const auto exclude = *this / ".git/info/exclude";
    SUBCASE("no file yet") {}
    SUBCASE("a last line without an end")
    {
        write_file(exclude, "# mine\n*.o");
    }
    SUBCASE("some of it is there")
    {
        write_file(exclude, ".cursor-skill-tmp.*\r\n\n*.o\n");
    }
    CHECK_FALSE(locked()->prepare());
    const auto first = read_file(exclude);
    const auto lines = lines_of(exclude);
    CHECK(std::count(lines.begin(), lines.end(), control::command) == 1);
    CHECK(std::count(lines.begin(), lines.end(), ".tapps-agents/running/") == 1);
    CHECK(std::count_if(lines.begin(), lines.end(),
                        [](auto& l) { return l.starts_with(".cursor-skill-tmp.*"); }) == 1);
    if (first.find("*.o") != std::string::npos)
        CHECK(std::count(lines.begin(), lines.end(), "*.o") == 1);
    const auto stamp = fs::last_write_time(exclude);
    for (int i = 0; i < 3; ++i) CHECK_FALSE(locked()->prepare());
    CHECK(read_file(exclude) == first);
    CHECK(fs::last_write_time(exclude) == stamp);
}

TEST_CASE_FIXTURE(GitTree, "a status file by another name is left alone by git, too")
{
    options.status_file_name = "#my [status]!.json";
    CHECK_FALSE(locked()->prepare());
    const auto lines = lines_of(*this / ".git/info/exclude");
    CHECK(std::count(lines.begin(), lines.end(), R"(\#my\ \[status\]\!.json)") == 1);
}

TEST_CASE_FIXTURE(GitTree, "an exclude file that is a link or a FIFO is left alone")
{
    TemporaryFolder outside;
    write_file(outside / "target", "precious");
    for (const auto kind : all_planted) {
        if (!plant(kind, *this / ".git/info/exclude", outside / "target")) continue;
        CHECK_FALSE(locked()->prepare());
        CHECK(read_file(outside / "target") == "precious");
        fs::remove(*this / ".git/info/exclude");
    }
}

TEST_CASE_FIXTURE(Tree, "outside git nothing but control files appears")
{
    {
        const auto mailbox = locked();
        CHECK_FALSE(mailbox->publish(files, Durability::none));
        CHECK_FALSE(mailbox->clean("a", false));
    }
    CHECK(names().empty());
}

TEST_CASE_FIXTURE(Tree, "a withdrawn command is gone whether the agent or the executor is first")
{
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->withdraw("a"));  // nothing there: no error
    CHECK_FALSE(mailbox->publish(files, Durability::process));
    SUBCASE("the executor first: the agent that looks again finds nothing")
    {
        CHECK_FALSE(mailbox->withdraw("a"));
        const auto claim = take(path(), "a");
        CHECK_FALSE(fs::exists(*this / control::command));
        CHECK(mailbox->claim("a") == ClaimState::live);  // until it has looked
    }
    SUBCASE("the agent first: the executor finds its claim")
    {
        const auto claim = take(path(), "a");
        CHECK_FALSE(mailbox->withdraw("a"));
        CHECK(mailbox->claim("a") == ClaimState::live);
    }
    SUBCASE("a link in its place goes, not what it leads to")
    {
        TemporaryFolder outside;
        write_file(outside / "target", "precious");
        fs::remove(*this / control::command);
        fs::create_symlink(outside / "target", *this / control::command);
        CHECK_FALSE(mailbox->withdraw("a"));
        CHECK(read_file(outside / "target") == "precious");
    }
    CHECK_FALSE(fs::exists(*this / control::command));
    for (const auto& name : names()) CHECK_FALSE(name.starts_with(control::temporary_prefix));
}

TEST_CASE_FIXTURE(Tree, "of a withdrawal and a claim, at least one sees the other")
{
    const auto mailbox = locked();
    int both_blind = 0;
    for (int round = 0; round < 300; ++round) {
        const auto id = std::to_string(round);
        REQUIRE_FALSE(mailbox->publish(files, Durability::none));
        std::atomic<bool> go = false;
        bool agent_runs = false;
        std::optional<Claim> claim;
        std::thread agent([&] {
            while (!go) std::this_thread::yield();
            claim = take(path(), id);
            agent_runs = fs::exists(*this / control::command);
        });
        go = true;
        (void)mailbox->withdraw(id);
        const bool engine_saw = mailbox->claim(id) != ClaimState::none;
        agent.join();
        if (agent_runs && !engine_saw) ++both_blind;
        (void)mailbox->clean(id, false);
    }
    CHECK(both_blind == 0);
}

TEST_CASE_FIXTURE(Tree,
                  "an unconfirmed stop leaves the cancel file and the claim, and nothing else")
{
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->publish(files, Durability::process));
    const auto claim = take(path(), "a");
    CHECK_FALSE(mailbox->request_stop("stop"));
    CHECK(mode(control::cancel) == fs::perms{0600});
    write(control::status, "{}");
    CHECK_FALSE(mailbox->clean("a", true));
    CHECK(names() == std::set<std::string>{control::cancel, control::claims_folder});
    CHECK(read_file(*this / control::cancel) == "stop");
    CHECK(mailbox->live_claim() == "a");
    CHECK_FALSE(mailbox->clean("a", false));
    CHECK(names() == std::set<std::string>{control::claims_folder});
}

TEST_CASE_FIXTURE(Tree, "a worktree is lost when its path leads elsewhere")
{
    TemporaryFolder other;
    where = *this / "tree";
    fs::create_directory(where);
    const auto mailbox = locked();
    CHECK_FALSE(mailbox->publish(files, Durability::process));
    CHECK_FALSE(mailbox->lost());
    SUBCASE("renamed")
    {
        fs::rename(where, *this / "moved");
        CHECK(mailbox->lost());
        fs::rename(*this / "moved", where);
        CHECK_FALSE(mailbox->lost());
    }
    SUBCASE("deleted, then made anew")
    {
        fs::remove_all(where);
        CHECK(mailbox->lost());
        fs::create_directory(where);
        CHECK(mailbox->lost());
        CHECK(mailbox->publish(files, Durability::process));
        CHECK(mailbox->look().empty());
        CHECK_FALSE(mailbox->withdraw("a"));
        CHECK_FALSE(mailbox->clean("a", false));
        CHECK(fs::is_empty(where));
    }
    SUBCASE("another put there")
    {
        fs::rename(where, *this / "moved");
        fs::create_directory_symlink(other.path(), where);
        CHECK(mailbox->lost());
        CHECK_FALSE(mailbox->publish(files, Durability::process));
        CHECK(fs::is_empty(other.path()));
        CHECK(fs::exists(*this / "moved" / control::command));
    }
}

TEST_CASE_FIXTURE(Tree, "an artifact is a regular file, or a folder with one in it, inside")
{
    TemporaryFolder outside;
    write_file(outside / "f", "secret");
    write("file", "text");
    fs::create_directories(*this / "empty/inner");
    write("folder/a/b/file", "text");
    fs::create_symlink("file", *this / "inside");
    fs::create_directory_symlink("folder", *this / "inside-folder");
    fs::create_symlink(outside / "f", *this / "out");
    fs::create_directory_symlink(outside.path(), *this / "out-folder");
    fs::create_directories(*this / "only-links");
    fs::create_symlink(outside / "f", *this / "only-links/f");
    REQUIRE(::mkfifo((*this / "fifo").c_str(), 0600) == 0);
    const auto mailbox = open();
    for (const std::string name :
         {"file", "folder", "inside", "inside-folder", "folder/a/b/file", "inside-folder/a"}) {
        CAPTURE(name);
        CHECK(mailbox->artifact(name).present);
    }
    for (const auto& name : std::vector<std::string>{
             "none", "empty", "out", "out-folder", "out-folder/f", "only-links", "fifo", "..",
             "../" + outside.path().filename().string() + "/f", "/etc/passwd", ""}) {
        CAPTURE(name);
        CHECK(mailbox->artifact(name) == ArtifactState{});
    }
}

TEST_CASE_FIXTURE(Tree, "an artifact's stamp tells a change, in a folder that of its newest file")
{
    const auto mailbox = open();
    write("folder/a/old", "text");
    const auto before = mailbox->artifact("folder");
    CHECK(mailbox->artifact("folder") == before);
    fs::create_directory(*this / "folder/b");
    CHECK(mailbox->artifact("folder") == before);
    write("folder/b/new", "text");
    fs::last_write_time(*this / "folder/b/new",
                        fs::last_write_time(*this / "folder/a/old") + std::chrono::seconds{1});
    const auto after = mailbox->artifact("folder");
    CHECK(after.present);
    CHECK(after != before);
}

TEST_CASE_FIXTURE(Tree, "a folder that is too large or too deep is searched in part")
{
    for (int i = 0; i < 3000; ++i) fs::create_directories(*this / "wide" / std::to_string(i));
    auto deep = *this / "deep";
    for (int i = 0; i < 40; ++i) deep /= "d";
    write_file(deep / "file", "text");
    const auto mailbox = open();
    CHECK_FALSE(mailbox->artifact("wide").present);
    CHECK_FALSE(mailbox->artifact("deep").present);
}

TEST_CASE_FIXTURE(Tree, "the reason why a path cannot be a worktree is one sentence")
{
    std::string why;
    where = *this / "none";
    CHECK(fails_to_open(why) == errc::invalid_worktree);
    CHECK(why.find("does not exist") != std::string::npos);
    write("file", "");
    where = *this / "file";
    CHECK(fails_to_open(why) == errc::invalid_worktree);
    CHECK(why.find("is not a directory") != std::string::npos);
    where = *this / std::string(300, 'x');
    CHECK(fails_to_open(why) == boost::system::errc::filename_too_long);
    if (::geteuid() != 0) return;
    where = path();
    fs::permissions(where, fs::perms{0755});
    REQUIRE(::seteuid(12345) == 0);
    CHECK(fails_to_open(why) == errc::worktree_not_writable);
    REQUIRE(::seteuid(0) == 0);
    CHECK(why.find("is not writable") != std::string::npos);
}

TEST_CASE("a status file's name is plain, and no other control file's")
{
    for (const std::string name : {"status.json", ".cursor-skill-status.json", "a b", "ä"})
        CHECK(is_valid_status_name(name));
    for (const std::string& name :
         {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("/a"),
          std::string("a\0b", 3), std::string("a\nb"), std::string(".git"), std::string(".cursor"),
          std::string(300, 'x'), std::string(control::command), std::string(control::simple),
          std::string(control::metadata), std::string(control::cancel),
          std::string(control::claims_folder), std::string(".cursor-skill-tmp.x")}) {
        CAPTURE(name);
        CHECK_FALSE(is_valid_status_name(name));
    }
}

TEST_SUITE_END();
