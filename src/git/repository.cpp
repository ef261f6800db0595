#include "git/repository.hpp"

#include "git_files/exclude.hpp"
#include "git_files/refs.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"
#include "text/text.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

// The first version with `git merge-tree --write-tree`.
constexpr int oldest_minor = 38;

// `git version 2.39.5`, perhaps with more behind it.
bool is_too_old(std::string_view text)
{
    int major = 0;
    int minor = 0;
    const auto digit = std::min(text.find_first_of("0123456789"), text.size());
    const auto* const end = text.data() + text.size();
    const auto [dot, problem] = std::from_chars(text.data() + digit, end, major);
    if (problem != std::errc() || dot == end) return true;
    std::from_chars(dot + 1, end, minor);
    return major < 2 || (major == 2 && minor < oldest_minor);
}

constexpr std::size_t max_message_length = 64 * 1024;
constexpr std::string_view engine_name = "autoexec";
constexpr std::string_view engine_email = "autoexec@localhost";

std::string message_text(std::string text)
{
    text = text::valid_utf8(text.substr(0, max_message_length));
    std::erase(text, '\0');
    return text;
}

std::string open_problem(const fs::path& folder, const ProgramOutput& answer)
{
    if (answer.output.starts_with("true"))
        return fmt::format("The repository of {} is bare: it has no files to work on.",
                           folder.string());
    if (answer.errors.find("not a git repository") != std::string::npos)
        return fmt::format("{} is not in a git repository. Create one: git init", folder.string());
    const bool lacks_only_commit = answer.ok() && split_at('\n', answer.output).size() == 4;
    if (lacks_only_commit)
        return fmt::format(
            "The repository of {} has no commit yet, and worktrees need one. Create it: git add "
            "-A; git commit",
            folder.string());
    return fmt::format("The repository of {} cannot be used: {}", folder.string(),
                       reason_of(answer));
}

fs::path canonical_or_normal(const fs::path& path)
{
    std::error_code ec;
    auto found = fs::canonical(path, ec);
    return ec ? path.lexically_normal() : found;
}

// The common pattern is relative to the top.
void exclude_trees(const Repository& repository)
{
    const auto below =
        repository.options.project_root.lexically_relative(repository.project.work_tree);
    if (below == ".") return;
    (void)git_files::exclude(repository.common, {git_files::exclude_pattern(below.string()) + '/' +
                                                 layout::worktrees + '/'});
}

asio::awaitable<Problem> unfit_version(const Git& git, GitContext here)
{
    const auto version = co_await git(here, "version");
    if (!version.exit.error.empty())
        co_return fmt::format("git cannot be run: {}", version.exit.error);
    if (is_too_old(version.output))
        co_return fmt::format("{} is too old: worktrees need git 2.{} or later.", line_of(version),
                              oldest_minor);
    co_return Problem();
}

// The first of `worktree list`: `worktree <path>`, then `bare` or what is checked out. A bare
// repository has none.
asio::awaitable<std::optional<Entry>> find_main(const Repository& repository)
{
    const auto& common = repository.common;
    if (repository.project.git_dir == common)
        co_return Entry{common, common, repository.project.work_tree};
    constexpr std::string_view word = "worktree ";
    const auto listing =
        co_await repository.git(repository.project, "worktree", "list", "--porcelain", "-z");
    const auto parts = split_nul(listing.output);
    if (parts.size() < 2 || !parts[0].starts_with(word) || parts[1] == "bare")
        co_return std::nullopt;
    Entry entry{common, common, parts[0].substr(word.size())};
    // For a separate git directory (a submodule, for example) the listing shows that directory as
    // the tree.
    const auto core_worktree = co_await repository.run("config", "--get", "core.worktree");
    if (core_worktree.ok()) entry.tree = canonical_or_normal(common / line_of(core_worktree));
    co_return entry;
}

}  // namespace

Repository::Repository(RepositoryOptions o, Git g, GitContext p, fs::path common_dir)
    : options(std::move(o)),
      git(std::move(g)),
      project(std::move(p)),
      common(std::move(common_dir)),
      bare(common, fs::path()),
      queue_(common / "autoexec" / "repository.lock", options.clock, options.lock_timeout)
{}

asio::awaitable<Repository::Opened> Repository::open(RepositoryOptions options)
{
    if (!options.interrupt) options.interrupt = std::make_shared<Interrupt>();
    Opened opened;
    const Git git(options.spawner, options.clock, options.interrupt);
    options.project_root = canonical_or_normal(options.project_root);
    const auto folder = options.project_root;
    const GitContext here(fs::path(), folder);
    opened.problem = co_await unfit_version(git, here);
    if (!opened.problem.empty()) co_return opened;

    const auto answer =
        co_await git(here, "rev-parse", "--revs-only", "--is-bare-repository", "--absolute-git-dir",
                     "--git-common-dir", "--show-toplevel", "HEAD^{commit}", "HEAD^{tree}");
    const auto lines = split_at('\n', answer.output);
    if (!answer.ok() || lines.size() != 6) {
        opened.problem = open_problem(folder, answer);
        co_return opened;
    }
    auto common = canonical_or_normal(folder / lines[2]);
    GitContext project(canonical_or_normal(lines[1]), common, canonical_or_normal(lines[3]));
    auto repository = std::make_shared<Repository>(std::move(options), git, std::move(project),
                                                   std::move(common));
    repository->main = co_await find_main(*repository);
    opened.head = lines[4];
    repository->known.add(opened.head, std::string(lines[5]));
    // Worktrees are inside the project: its own tree must not list them as new files.
    (void)git_files::exclude(repository->common,
                             git_files::control_patterns(control_files::status));
    exclude_trees(*repository);
    opened.repository = std::move(repository);
    co_return opened;
}

fs::path Repository::trees_folder() const
{
    return options.project_root / layout::worktrees;
}

asio::awaitable<ProgramOutput> Repository::locked(Git caller, Words words)
{
    ProgramOutput output;
    output.exit.error = co_await queue_.acquire(caller.interrupt());
    if (!output.exit.error.empty()) co_return output;
    const Lock lock(queue_);
    output = co_await caller.run(project, std::move(words), queue_.descriptor());
    co_return output;
}

asio::awaitable<Commit> Repository::resolve(std::string revision)
{
    Commit found;
    if (known.contains(revision)) {
        found.id = std::move(revision);
        co_return found;
    }
    const bool sound =
        !revision.empty() && revision.front() != '-' && revision.find('\0') == std::string::npos;
    if (sound) {
        const auto output =
            co_await git(project, "rev-parse", "--verify", "--quiet", revision + "^{commit}");
        if (output.ok()) found.id = line_of(output);
        found.problem = output.exit.error;
    }
    if (found.problem.empty() && !is_object_id(found.id)) {
        found.id.clear();
        found.problem = fmt::format("'{}' is not a commit of this repository.", shown(revision));
    }
    if (!found.id.empty()) known.add(found.id);
    co_return found;
}

asio::awaitable<bool> Repository::holds(std::string commit, std::string path)
{
    const auto plain = fs::path(path).lexically_normal();
    if (plain.empty() || plain.is_absolute() || *plain.begin() == "..") co_return false;
    auto name = plain.string();
    if (name.ends_with('/')) name.pop_back();
    const auto found = co_await resolve(std::move(commit));
    if (!found.problem.empty() || name == ".") co_return found.problem.empty();
    const auto listing = co_await run("--literal-pathspecs", "ls-tree", "-z", "--name-only",
                                      "--full-tree", found.id, "--", name);
    co_return listing.ok() && !listing.output.empty();
}

asio::awaitable<bool> Repository::contains(std::string commit, std::string ancestor)
{
    if (commit == ancestor) co_return true;
    if (commit.empty() || ancestor.empty()) co_return false;
    if (known.descends(commit, ancestor)) co_return true;
    const auto answer = co_await run("merge-base", "--is-ancestor", ancestor, commit);
    co_return answer.ok();
}

asio::awaitable<Head> Repository::head_of(GitContext context)
{
    Head head;
    head.branch = branch_of(context.git_dir);
    const auto tip =
        head.branch.empty() ? std::nullopt : git_files::read_ref(common, branch_ref(head.branch));
    head.tree = known.tree_of(tip.value_or(""));
    if (!head.tree.empty()) {
        head.commit = *tip;
        co_return head;
    }
    const auto output =
        co_await git(context, "rev-parse", "--quiet", "HEAD^{commit}", "HEAD^{tree}");
    const auto lines = split_at('\n', output.output);
    if (!output.ok() || lines.size() != 2) co_return head;
    head.commit = lines[0];
    head.tree = lines[1];
    known.add(head.commit, head.tree);
    co_return head;
}

asio::awaitable<std::vector<Ref>> Repository::refs(std::string first_part, std::string detail,
                                                   Words filter)
{
    Words words{"for-each-ref", "--format=%(refname)%00%(objectname)%00" + detail + "%00"};
    std::ranges::move(filter, std::back_inserter(words));
    words.push_back(std::move(first_part));
    const auto listing = co_await git.run(bare, std::move(words));
    std::vector<Ref> found;
    const auto parts = split_nul(listing.output);
    for (std::size_t i = 0; listing.ok() && i + 2 < parts.size(); i += 3) {
        auto name = parts[i];
        if (name.starts_with('\n')) name.remove_prefix(1);
        found.push_back({std::string(name), std::string(parts[i + 1]), std::string(parts[i + 2])});
    }
    co_return found;
}

asio::awaitable<std::optional<Ref>> Repository::find_ref(std::string name, std::string detail)
{
    Words first{"--count=1"};
    auto found = co_await refs(name, std::move(detail), std::move(first));
    // Git also lists refs below the name.
    if (found.empty() || found.front().name != name) co_return std::nullopt;
    co_return std::move(found.front());
}

asio::awaitable<Problem> Repository::drop_ref(std::string name, std::string commit)
{
    const auto done = co_await run("update-ref", "--no-deref", "-d", name, commit);
    if (done.ok()) co_return Problem();
    co_return fmt::format("{} cannot be dropped: {}", shown(name), reason_of(done));
}

asio::awaitable<Commit> Repository::commit_tree(std::string tree, Words parents,
                                                std::string message, std::string date)
{
    auto context = bare;
    context.date = std::move(date);
    Words words{"commit-tree", tree};
    Words different;
    for (const auto& parent : parents) {
        if (std::ranges::find(different, parent) != different.end()) continue;
        different.push_back(parent);
        words.emplace_back("-p");
        words.push_back(parent);
    }
    words.emplace_back("-m");
    words.push_back(message_text(std::move(message)));
    const bool had_own_identity = uses_own_identity_;
    auto output = co_await git.run(context, words);
    const bool has_failed = !output.ok() && output.exit.error.empty();
    bool again = false;
    if (has_failed && !had_own_identity) again = co_await lacks_identity();
    if (again) output = co_await git.run(context, std::move(words));
    Commit made;
    if (output.ok())
        known.add(made.id = line_of(output), std::move(tree), std::move(different));
    else
        made.problem = fmt::format("The commit cannot be written: {}", reason_of(output));
    co_return made;
}

// Git has no name for commits, so they get one.
asio::awaitable<bool> Repository::lacks_identity()
{
    bool is_configured = true;
    for (const auto* const role : {"GIT_COMMITTER_IDENT", "GIT_AUTHOR_IDENT"}) {
        const auto answer = co_await git(project, "var", role);
        const bool is_missing = !answer.ok() && answer.exit.error.empty();
        is_configured = is_configured && !is_missing;
    }
    if (uses_own_identity_) co_return true;  // another operation was faster
    if (is_configured) co_return false;
    uses_own_identity_ = true;
    git.set_identity(engine_name, engine_email);
    identity_warning_ = fmt::format(
        "Git has no user name, so commits are made as '{} <{}>'. To change that: git config "
        "user.name NAME; git config user.email ADDRESS",
        engine_name, engine_email);
    co_return true;
}

void Repository::warn_of_identity(Words& warnings)
{
    if (!identity_warning_.empty()) warnings.push_back(std::exchange(identity_warning_, {}));
}

std::vector<Entry> Repository::all_trees() const
{
    auto trees = entries_of(common);
    if (main) trees.push_back(*main);
    return trees;
}

std::optional<Entry> Repository::find_tree(const fs::path& tree, Problem& problem,
                                           bool may_be_missing) const
{
    auto entry = find_entry(common, tree);
    if (entry && (may_be_missing || !entry->missing())) return entry;
    problem = fmt::format("{} is not a worktree of this repository.", shown(tree.string()));
    return std::nullopt;
}

asio::awaitable<bool> Repository::wait_until(std::function<bool()> attempt) const
{
    constexpr std::chrono::milliseconds pause{20};
    constexpr int max_tries = 50;
    const auto timer = options.clock->make_timer(co_await asio::this_coro::executor);
    for (int tries = 1; !attempt(); ++tries) {
        if (tries == max_tries) co_return false;
        co_await timer->wait_until(options.clock->now() + pause);
    }
    co_return true;
}

}  // namespace autoexec::git
