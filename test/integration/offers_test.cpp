#include "handoff/offers.hpp"

#include "async/short_names.hpp"
#include "autoexec/executor.hpp"
#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/agent_mailbox.hpp"
#include "handoff/file_handoff.hpp"
#include "protocol/command_file.hpp"
#include "protocol/status.hpp"
#include "support/descriptor_limit.hpp"
#include "support/temporary_folder.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iterator>

using namespace autoexec;
using namespace autoexec::test;
using handoff::AgentMailbox;
namespace fs = std::filesystem;
namespace control = autoexec::control_files;
using State = AgentMailbox::Found::State;

namespace {

protocol::CommandFile command(std::string text)
{
    protocol::CommandFile file;
    file.command = std::move(text);
    file.execution_id = text::new_uuid();
    file.attempt_id = text::new_uuid();
    file.attempt = 1;
    return file;
}

PublishedFiles files_for(const protocol::CommandFile& file)
{
    PublishedFiles files;
    files.command = protocol::format_command(file);
    files.simple = file.command;
    files.metadata = protocol::format_metadata(file, file.command);
    files.attempt_id = file.attempt_id;
    return files;
}

ino_t inode_of(const fs::path& path)
{
    struct stat st {};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    return st.st_ino;
}

bool contains(std::string_view text, std::string_view part)
{
    return text.find(part) != std::string_view::npos;
}

/// A linked worktree of a project, an executor that holds it, and an agent.
struct LinkedTree {
    TemporaryFolder folder;
    fs::path project = folder / "project";
    fs::path tree = folder / "tree";
    fs::path git_dir = project / ".git/worktrees/tree";
    handoff::FileHandoffOptions options;
    std::shared_ptr<Handoff> handoff;
    std::unique_ptr<Mailbox> engine;
    AgentMailbox::Trust trust;

    LinkedTree()
    {
        make_git_dir(project / ".git");
        write_file(git_dir / "HEAD", "ref: refs/heads/tree\n");
        write_file(git_dir / "commondir", "../..\n");
        write_file(git_dir / "gitdir", (tree / ".git").string() + "\n");
        write_file(tree / ".git", "gitdir: " + git_dir.string() + "\n");
        options.project_root = project;
        trust.common_dir = git_files::common_dir_of(project);
        REQUIRE(trust.common_dir);
    }

    static void make_git_dir(const fs::path& dir)
    {
        write_file(dir / "HEAD", "ref: refs/heads/main\n");
        fs::create_directories(dir / "objects");
        fs::create_directories(dir / "refs");
    }

    std::unique_ptr<Mailbox> open(const fs::path& where)
    {
        if (!handoff) handoff = handoff::file_handoff(options);
        error_code ec;
        std::string why;
        auto mailbox = handoff->open(where, ec, why);
        REQUIRE_MESSAGE(mailbox, why);
        REQUIRE_FALSE(mailbox->try_lock());
        return mailbox;
    }
    std::unique_ptr<Mailbox> open() { return open(tree); }

    protocol::CommandFile publish(std::string text = "build it")
    {
        if (!engine) engine = open();
        REQUIRE_FALSE(engine->prepare());
        CHECK(engine->look().empty());
        auto file = command(std::move(text));
        REQUIRE_FALSE(engine->publish(files_for(file), Durability::process));
        return file;
    }

    void plant(const protocol::CommandFile& file) const
    {
        write_file(tree / control::command, protocol::format_command(file));
    }

    [[nodiscard]] std::unique_ptr<AgentMailbox> box() const
    {
        return AgentMailbox::open(tree, control::status, trust);
    }
    [[nodiscard]] State found(bool accept_legacy = false) const
    {
        return box()->find(accept_legacy).state;
    }
    /// Finds the command and claims it.
    [[nodiscard]] std::unique_ptr<AgentMailbox> take() const
    {
        auto mine = box();
        const auto what = mine->find(false);
        if (what.state != State::command || !mine->claim(what, "agent")) return nullptr;
        return mine;
    }

    /// But for links to locks and claims.
    [[nodiscard]] std::size_t files_below(const fs::path& path) const
    {
        std::size_t n = 0;
        std::error_code none;
        for (const auto& entry : fs::recursive_directory_iterator(path, none))
            n += entry.is_regular_file() && !entry.path().filename().string().starts_with('.');
        return n;
    }
    [[nodiscard]] std::size_t claims() const { return files_below(git_dir / "autoexec/claims"); }
    [[nodiscard]] std::size_t offers() const { return files_below(git_dir / "autoexec/offers"); }
};

}  // namespace

TEST_SUITE_BEGIN("offers");

TEST_CASE_FIXTURE(LinkedTree, "only the bytes that the executor has published are run")
{
    const auto real = publish();
    CHECK(offers() == 1);
    CHECK(found() == State::command);

    auto planted = command("steal it");
    SUBCASE("another attempt") {}
    SUBCASE("the same attempt, with other bytes")
    {
        planted.attempt_id = real.attempt_id;
        planted.execution_id = real.execution_id;
    }
    SUBCASE("no attempt")
    {
        planted.attempt_id.clear();
    }
    SUBCASE("an attempt that names the lock or climbs out")
    {
        planted.attempt_id = "../../../../tree/offer";
        write_file(tree / "offer", text::sha256_hex(protocol::format_command(planted)));
    }
    plant(planted);
    CHECK(found(true) == State::foreign);
    CHECK(claims() == 0);
    CHECK(engine->command_replaced());

    REQUIRE_FALSE(engine->publish(files_for(real), Durability::process));
    CHECK_FALSE(engine->command_replaced());
    const auto agent = take();
    CHECK(agent);
    CHECK(engine->claim(real.attempt_id) == ClaimState::live);
}

TEST_CASE_FIXTURE(LinkedTree, "a file that is planted between an agent's looks is not run")
{
    auto planted = publish();
    const auto mine = box();
    const auto what = mine->find(false);
    REQUIRE(what.state == State::command);
    planted.command = "steal it";
    plant(planted);
    CHECK_FALSE(mine->claim(what, "agent"));
    CHECK(claims() == 0);
    CHECK(engine->claim(planted.attempt_id) == ClaimState::none);
}

TEST_CASE_FIXTURE(LinkedTree, "a command file that was rewritten as it was is not replaced")
{
    const auto real = publish();
    plant(real);
    CHECK_FALSE(engine->command_replaced());
    CHECK(found() == State::command);
    fs::remove(tree / control::command);
    CHECK_FALSE(engine->command_replaced());  // an agent of 1.0 may have taken it
    fs::create_directory(tree / control::command);
    CHECK(engine->command_replaced());
    fs::remove(tree / control::command);
}

TEST_CASE_FIXTURE(LinkedTree, "offers end with their attempt, and their folder with its executor")
{
    const auto file = publish();
    REQUIRE_FALSE(engine->clean(file.attempt_id, false));
    CHECK(offers() == 0);
    plant(file);  // what its program has kept
    CHECK(found() == State::foreign);
    (void)publish();
    CHECK(offers() == 1);
    REQUIRE_FALSE(engine->prepare());
    CHECK(offers() == 0);
    engine.reset();
    CHECK(fs::is_empty(git_dir / "autoexec/offers"));
}

// An executor that ends removes its link, and then the folder: another one may begin in between.
TEST_CASE_FIXTURE(LinkedTree, "a folder that an executor has begun to hold is not removed as empty")
{
    const auto offers_folder = git_dir / "autoexec/offers" / std::to_string(inode_of(tree));
    fs::create_directories(offers_folder);
    engine = open();
    std::error_code ec;
    fs::remove(offers_folder, ec);
    CHECK(ec == std::errc::directory_not_empty);
    const auto file = publish();
    CHECK(found() == State::command);
    REQUIRE_FALSE(engine->clean(file.attempt_id, false));
    engine.reset();
    CHECK_FALSE(fs::exists(offers_folder));
}

TEST_CASE_FIXTURE(LinkedTree,
                  "an executor that makes no offers is of version 1.1, and its commands run")
{
    const auto lock = files::UniqueFd(::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    SUBCASE("in a fresh worktree") {}
    SUBCASE("after an executor with offers")
    {
        (void)publish();
        engine.reset();
    }
    SUBCASE("after an executor with offers that was killed")
    {
        const pid_t child = ::fork();
        if (child == 0) {
            (void)publish();
            ::_exit(0);
        }
        ::waitpid(child, nullptr, 0);
        CHECK(offers() == 1);
    }
    REQUIRE(::flock(lock.get(), LOCK_EX | LOCK_NB) == 0);
    plant(command("build it"));
    CHECK(found() == State::command);
    CHECK(take());
}

TEST_CASE_FIXTURE(LinkedTree, "a program that replaces .git hides neither offers nor claims")
{
    const auto real = publish();
    const auto original = read_file(tree / ".git");
    fs::remove(tree / ".git");
    SUBCASE("by nothing") {}
    SUBCASE("by a repository of its own")
    {
        make_git_dir(tree / ".git");
    }
    SUBCASE("by a link into the worktree")
    {
        const auto fake = tree / "fake/.git";
        make_git_dir(fake);
        write_file(fake / "worktrees/tree/HEAD", "ref: refs/heads/tree\n");
        write_file(fake / "worktrees/tree/commondir", "../..\n");
        write_file(fake / "worktrees/tree/gitdir", (tree / ".git").string() + "\n");
        write_file(tree / ".git", "gitdir: " + (fake / "worktrees/tree").string() + "\n");
    }
    bool same_engine = true;
    SUBCASE("before the executor began")
    {
        same_engine = false;
        engine.reset();
    }
    const auto file = same_engine ? real : publish();
    plant(command("steal it"));
    CHECK(found(true) == State::foreign);
    CHECK(claims() == 0);
    REQUIRE_FALSE(engine->publish(files_for(file), Durability::process));
    const auto agent = take();
    CHECK(agent);
    CHECK(engine->claim(file.attempt_id) == ClaimState::live);
}

TEST_CASE_FIXTURE(LinkedTree, "an offer in one folder of a repository is none in another")
{
    const auto one = tree / "one";
    const auto two = tree / "two";
    fs::create_directories(one);
    fs::create_directories(two);
    const auto first = open(one);
    auto second = open(two);
    const auto file = command("build it");
    REQUIRE_FALSE(first->publish(files_for(file), Durability::process));
    fs::copy_file(one / control::command, two / control::command);
    const auto state = [&](const fs::path& where) {
        return AgentMailbox::open(where, control::status, trust)->find(false).state;
    };
    CHECK(state(one) == State::command);
    CHECK(state(two) == State::foreign);
    second.reset();  // which takes nothing of the first
    CHECK(state(one) == State::command);
}

TEST_CASE_FIXTURE(LinkedTree, "within a process only commands that are offered in memory run")
{
    options.offers = local_offers();
    trust.offers = options.offers;
    SUBCASE("in git") {}
    SUBCASE("outside git")
    {
        fs::remove(tree / ".git");
        fs::remove_all(project);
        trust.common_dir.reset();
    }
    const auto real = publish();
    CHECK(found() == State::command);

    // By a program that can write the git directory, too.
    auto planted = real;
    planted.command = "steal it";
    SUBCASE("the same attempt") {}
    SUBCASE("another attempt")
    {
        planted.attempt_id = text::new_uuid();
    }
    plant(planted);
    for (const auto& place : fs::recursive_directory_iterator(folder.path()))
        if (place.path().parent_path().filename() == "offers")
            write_file(place.path() / planted.attempt_id,
                       text::sha256_hex(protocol::format_command(planted)));
    CHECK(found() == State::foreign);

    // An executor of another process holds another worktree: there the files decide.
    options.offers.reset();
    handoff.reset();
    tree = folder / "other";
    fs::create_directories(tree);
    const auto other = open();
    const auto file = command("build it");
    REQUIRE_FALSE(other->publish(files_for(file), Durability::process));
    CHECK(found() == State::command);
}

TEST_CASE_FIXTURE(LinkedTree, "within a process a claim is known before a program can remove it")
{
    options.offers = local_offers();
    trust.offers = options.offers;
    const auto file = publish();
    const auto agent = box();
    REQUIRE(agent->claim(agent->find(false), "an agent"));
    fs::remove(git_dir / "autoexec/claims" / (file.attempt_id + ".json"));
    SUBCASE("while the program runs")
    {
        CHECK(engine->claim(file.attempt_id) == ClaimState::live);
    }
    SUBCASE("after it has ended") {}
    agent->release(false);
    CHECK(engine->claim(file.attempt_id) == ClaimState::free);
    CHECK(engine->claim(file.attempt_id) == ClaimState::free);
}

TEST_CASE_FIXTURE(LinkedTree,
                  "within a process the lock of a claim decides after its agent was destroyed")
{
    options.offers = local_offers();
    trust.offers = options.offers;
    const auto file = publish();
    auto agent = take();
    REQUIRE(agent);
    files::UniqueFd of_program(::fcntl(*agent->claim_descriptor(), F_DUPFD_CLOEXEC, 0));
    agent.reset();
    CHECK(engine->claim(file.attempt_id) == ClaimState::live);
    of_program = files::UniqueFd();
    CHECK(engine->claim(file.attempt_id) == ClaimState::free);
}

TEST_CASE_FIXTURE(LinkedTree, "a status is not final while the claim of its agent is held")
{
    const auto file = publish();
    const auto agent = take();
    REQUIRE(agent);
    AgentStatus status;
    status.structured = true;
    status.status = ReportedStatus::completed;
    status.attempt_id = file.attempt_id;
    REQUIRE_FALSE(agent->write_status(protocol::format_status(status)));
    SUBCASE("as it was") {}
    SUBCASE("where the program has removed .git")
    {
        fs::remove(tree / ".git");
    }
    SUBCASE("where the program has made a repository of its own")
    {
        fs::remove(tree / ".git");
        make_git_dir(tree / ".git");
    }
    asio::io_context ctx;
    ExecutorOptions o;
    o.project_root = project;
    o.enable_audit = o.enable_metrics = false;
    const BackgroundAgentAutoExecutor executor(ctx.get_executor(), o);
    CHECK(executor.check_status(tree).status_file_exists);
    CHECK_FALSE(executor.check_status(tree).completed);
    agent->release(false);
    CHECK(executor.check_status(tree).completed);
}

TEST_CASE_FIXTURE(LinkedTree,
                  "an agent reports its lack of resources to the executor that it serves")
{
    options.offers = local_offers();
    trust.offers = options.offers;
    const auto file = publish();
    const auto& id = file.attempt_id;
    const auto agent = box();
    CHECK_FALSE(options.offers->is_short(id));
    CHECK(agent->report_shortage());
    CHECK_FALSE(agent->report_shortage());  // no news
    CHECK(options.offers->is_short(id));
    CHECK_FALSE(options.offers->is_short(text::new_uuid()));
    SUBCASE("until it has the command")
    {
        REQUIRE(agent->claim(agent->find(false), "an agent"));
    }
    SUBCASE("until the end of the attempt")
    {
        REQUIRE_FALSE(engine->clean(id, false));
    }
    SUBCASE("until the executor has left")
    {
        engine.reset();
    }
    CHECK_FALSE(options.offers->is_short(id));
}

TEST_CASE_FIXTURE(LinkedTree,
                  "a command of a dead executor is offered again, if it is still that one")
{
    options.offers = local_offers();
    trust.offers = options.offers;
    auto file = command("build it");
    const pid_t child = ::fork();
    if (child == 0) {
        engine = open();
        (void)engine->publish(files_for(file), Durability::process);
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    engine = open();
    CHECK(found() == State::foreign);  // not before
    SUBCASE("it is")
    {
        CHECK(engine->offer_again(file.attempt_id));
        CHECK(found() == State::command);
    }
    SUBCASE("another attempt is asked for")
    {
        CHECK_FALSE(engine->offer_again(text::new_uuid()));
        CHECK(found() == State::foreign);
    }
    SUBCASE("it was replaced")
    {
        file.command = "steal it";
        plant(file);
        CHECK_FALSE(engine->offer_again(file.attempt_id));
        CHECK(found() == State::foreign);
    }
    SUBCASE("it is gone")
    {
        fs::remove(tree / control::command);
        CHECK_FALSE(engine->offer_again(file.attempt_id));
    }
}

TEST_CASE_FIXTURE(LinkedTree,
                  "of two executors one has the offers, and the other leaves them alone")
{
    (void)publish();
    error_code ec;
    std::string why;
    for (int i = 0; i < 3; ++i) {
        const auto other = handoff->open(tree, ec, why);
        CHECK(other->try_lock() == errc::worktree_busy);
    }
    CHECK(offers() == 1);
    CHECK(found() == State::command);
}

TEST_CASE_FIXTURE(LinkedTree,
                  "an executor that has other worktrees shows at once that it makes offers")
{
    const auto one = tree / "one";
    const auto two = tree / "two";
    fs::create_directories(one);
    fs::create_directories(two);
    const auto offers_of = [&](const fs::path& where) {
        struct stat st {};
        REQUIRE(::stat(where.c_str(), &st) == 0);
        return git_dir / "autoexec/offers" / std::to_string(st.st_ino);
    };
    error_code ec;
    std::string why;
    const auto first = open(one);
    CHECK_FALSE(fs::exists(offers_of(one) / ".executor"));
    CHECK(first->look().empty());  // it waits
    CHECK(fs::exists(offers_of(one) / ".executor"));
    engine = open(two);
    CHECK(fs::exists(offers_of(two) / ".executor"));
    CHECK(handoff::file_handoff(options)->open(two, ec, why)->try_lock() == errc::worktree_busy);
    engine.reset();
    CHECK_FALSE(fs::exists(offers_of(two)));
}

TEST_CASE_FIXTURE(LinkedTree,
                  "offers of an executor that does not wait yet are not taken by another")
{
    const auto one = tree / "one";
    fs::create_directories(one);
    const auto waits = open(one);
    CHECK(waits->look().empty());
    const auto other = handoff::file_handoff(options);
    error_code ec;
    std::string why;
    const auto holds = other->open(tree, ec, why);
    REQUIRE_FALSE(holds->try_lock());
    CHECK(handoff->open(tree, ec, why)->try_lock() == errc::worktree_busy);
    const auto file = command("build it");
    REQUIRE_FALSE(holds->prepare());
    REQUIRE_FALSE(holds->publish(files_for(file), Durability::process));
    CHECK(offers() == 1);
    CHECK(found() == State::command);
}

namespace {

std::ptrdiff_t descriptors_open()
{
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
}

}  // namespace

TEST_CASE_FIXTURE(LinkedTree, "an executor that waits holds one descriptor of each worktree")
{
    (void)publish();
    CHECK(engine->look().empty());
    const auto before = descriptors_open();
    const auto second = folder / "second";
    const auto second_git_dir = project / ".git/worktrees/second";
    for (const auto* name : {"HEAD", "commondir"})
        write_file(second_git_dir / name, read_file(git_dir / name));
    write_file(second_git_dir / "gitdir", (second / ".git").string() + "\n");
    write_file(second / ".git", "gitdir: " + second_git_dir.string() + "\n");
    const auto mailbox = open(second);
    const auto file = command("build it");
    REQUIRE_FALSE(mailbox->publish(files_for(file), Durability::process));
    const auto of_agent = descriptors_open();
    auto agent = AgentMailbox::open(second, control::status, trust);
    const auto what = agent->find(false);
    REQUIRE(agent->claim(what, "agent"));
    const auto its = descriptors_open() - of_agent;
    CHECK(mailbox->look().empty());
    CHECK(mailbox->claim(file.attempt_id) == ClaimState::live);
    CHECK(descriptors_open() == before + 1 + its);
    CHECK(files_below(project / ".git/autoexec/engines") ==
          2);  // the lock, and a link to the claim
}

TEST_CASE("an executor closes repositories that it no longer uses, but not the last few")
{
    const TemporaryFolder folder;
    handoff::SharedGitDirs dirs;
    const auto open = [&](int number) {
        const auto path = folder / std::to_string(number);
        fs::create_directories(path);
        error_code ec;
        auto dir = dirs.open(path, ec);
        REQUIRE(dir);
        return dir;
    };
    const auto used = open(0);
    const auto before = descriptors_open();
    std::weak_ptr<handoff::SharedGitDir> last;
    for (int number = 1; number <= 50; ++number) {
        const auto dir = open(number);
        const auto link = std::to_string(number) + ".link";
        REQUIRE_FALSE(dir->link_lock(dir->folder(), link.c_str()));
        last = dir;
    }
    CHECK(descriptors_open() - before <= 4 * 3);
    CHECK_FALSE(fs::exists(folder / "1/autoexec/engines"));
    CHECK(open(0) == used);
    CHECK(open(50) == last.lock());

    error_code ec;
    CHECK(dirs.open(folder / "none", ec) == nullptr);
    CHECK(ec == boost::system::errc::no_such_file_or_directory);
}

TEST_CASE_FIXTURE(LinkedTree, "in git a claim is checked by its file, whatever happens to its path")
{
    const auto file = publish();
    auto agent = take();
    REQUIRE(agent);
    CHECK(engine->look().empty());
    REQUIRE(engine->claim(file.attempt_id) == ClaimState::live);
    const auto claim = git_dir / "autoexec/claims" / (file.attempt_id + ".json");
    auto after = ClaimState::free;
    SUBCASE("nothing") {}
    SUBCASE("it is removed")
    {
        fs::remove(claim);
        after = ClaimState::none;
    }
    SUBCASE("its folder is removed")
    {
        fs::remove_all(claim.parent_path());
        after = ClaimState::none;
    }
    SUBCASE("it is replaced")
    {
        fs::remove(claim);
        write_file(claim, "{}");
        after = ClaimState::none;
    }
    SUBCASE("all that is in its git directory is removed")
    {
        fs::remove_all(git_dir / "autoexec");
        after = ClaimState::none;
    }
    SUBCASE("all of its links are removed, so that it cannot be checked")
    {
        fs::remove_all(git_dir / "autoexec");
        fs::remove_all(project / ".git/autoexec");
        after = ClaimState::live;
    }
    CHECK(engine->claim(file.attempt_id) == ClaimState::live);
    agent->release(false);
    fs::remove(after == ClaimState::none ? claim : git_dir / "none");
    CHECK(engine->claim(file.attempt_id) == after);
}

TEST_CASE_FIXTURE(LinkedTree, "in git a claim that was dropped is none, and another agent takes it")
{
    const auto file = publish();
    auto agent = take();
    REQUIRE(agent);
    CHECK(engine->look().empty());
    REQUIRE(engine->claim(file.attempt_id) == ClaimState::live);
    agent->release(true);
    CHECK(engine->claim(file.attempt_id) == ClaimState::none);
    agent = take();
    REQUIRE(agent);
    CHECK(engine->claim(file.attempt_id) == ClaimState::live);
    agent->release(false);
    CHECK(engine->claim(file.attempt_id) == ClaimState::free);
    REQUIRE_FALSE(engine->clean(file.attempt_id, false));
    CHECK(claims() == 0);
    engine.reset();
    CHECK(fs::is_empty(git_dir / "autoexec/offers"));
}

TEST_CASE_FIXTURE(LinkedTree, "the lock of an executor in git ends with it, or with the next one")
{
    const auto engines = project / ".git/autoexec/engines";
    const pid_t child = ::fork();
    if (child == 0) {
        (void)publish();
        (void)engine->look();  // it waits
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    CHECK(files_below(engines) == 1);
    (void)publish();
    CHECK(engine->look().empty());
    CHECK(files_below(engines) == 1);
    CHECK(found() == State::command);
    REQUIRE_FALSE(engine->prepare());
    engine.reset();
    handoff.reset();
    CHECK_FALSE(fs::exists(engines));
}

TEST_CASE_FIXTURE(LinkedTree, "an executor without a lock in git locks the folder of its offers")
{
    write_file(project / ".git/autoexec/engines", "in the way");
    (void)publish();
    CHECK(engine->look().empty());
    CHECK(offers() == 1);
    CHECK(found() == State::command);
    plant(command("steal it"));
    CHECK(found() == State::foreign);
    error_code ec;
    std::string why;
    CHECK(handoff->open(tree, ec, why)->try_lock() == errc::worktree_busy);
    REQUIRE_FALSE(engine->prepare());
    engine.reset();
    CHECK(fs::is_empty(git_dir / "autoexec/offers"));
}

TEST_CASE_FIXTURE(LinkedTree, "a repository that was made again at its path is opened again")
{
    (void)publish();
    engine.reset();
    fs::rename(project, folder / "away");
    fs::copy(folder / "away", project, fs::copy_options::recursive);
    (void)publish();
    CHECK(offers() == 1);
    CHECK(found() == State::command);
}

TEST_CASE_FIXTURE(LinkedTree,
                  "for any number of free descriptors an agent takes no command that was not "
                  "published")
{
    const auto real = publish();
    plant(command("something else"));
    const auto mine = box();
    for (int left = 0; left < 10; ++left) {
        CAPTURE(left);
        AgentMailbox::Found what;
        {
            const FewDescriptorsLeft limit(left);
            what = mine->find(false);
        }
        CHECK(what.state == State::foreign);
        CHECK_FALSE(what.problem.empty());
    }
    CHECK(contains(mine->find(false).problem, "has not published it"));
    plant(real);
    CHECK(mine->find(false).state == State::command);
}

TEST_CASE_FIXTURE(
    LinkedTree, "for any number of free descriptors an executor's claims lie in the git directory")
{
    bool went_well = false;
    for (int left = 0; left < 30 && !went_well; ++left) {
        CAPTURE(left);
        error_code ec;
        std::string why;
        handoff = handoff::file_handoff(options);
        const auto mailbox = handoff->open(tree, ec, why);
        REQUIRE_MESSAGE(mailbox, why);
        {
            const FewDescriptorsLeft limit(left);
            ec = mailbox->try_lock();
        }
        went_well = !ec;
        CHECK((!ec || files::is_resource_shortage(ec)));
        CHECK_FALSE(fs::exists(tree / control::claims_folder));
    }
    CHECK(went_well);
    CHECK(fs::exists(git_dir / "autoexec/claims"));
}

TEST_SUITE_END();
