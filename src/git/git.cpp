#include "git/git.hpp"

#include "protocol/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

// Lists of files: of a million files, too.
constexpr std::size_t most_output = 256 * 1024 * 1024;
constexpr std::size_t longest_reason = 2000;
constexpr std::size_t most_processes = 32;
// A git that is told to stop may leave a lock behind, or half a worktree.
constexpr std::chrono::minutes orphan_grace{1};

// What a user, an agent or a template has configured must neither stop a call nor widen it.
// A ref's lock is waited for: agents and people call git, too.
constexpr std::array<std::string_view, 22> settings = {
    "core.filesRefLockTimeout=15000",
    "core.packedRefsTimeout=15000",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.editor=true",
    "core.safecrlf=false",
    "core.splitIndex=false",
    "core.quotePath=false",
    "sequence.editor=true",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "merge.verifySignatures=false",
    "merge.autoStash=false",
    "i18n.commitEncoding=UTF-8",
    "color.ui=false",
    "advice.addEmbeddedRepo=false",
    "advice.updateSparsePath=false",
    "advice.detachedHead=false",
    "advice.resolveConflict=false",
};

// `false` as a program that asks: the answer is none, at once.
constexpr std::array<std::string_view, 13> variables = {
    "GIT_TERMINAL_PROMPT=0",
    "GIT_ASKPASS=false",
    "SSH_ASKPASS=false",
    "SSH_ASKPASS_REQUIRE=force",
    "GCM_INTERACTIVE=never",
    "GIT_EDITOR=true",
    "GIT_SEQUENCE_EDITOR=true",
    "GIT_PAGER=cat",
    "GIT_MERGE_AUTOEDIT=no",
    "GIT_OPTIONAL_LOCKS=0",
    "GIT_LITERAL_PATHSPECS=0",
    "GIT_ICASE_PATHSPECS=0",
    "LC_ALL=C",
};

// Git reads the first of two equal names.
void set_variable(std::vector<std::string>& environment, std::string_view variable)
{
    const auto name = variable.substr(0, variable.find('=') + 1);
    std::erase_if(environment, [&](const auto& known) { return known.starts_with(name); });
    environment.emplace_back(variable);
}

std::vector<std::string> environment_of(const Place& place)
{
    auto environment = process::inherited_environment();
    for (const auto variable : variables) set_variable(environment, variable);
    if (!place.git_dir.empty()) {
        set_variable(environment, "GIT_DIR=" + place.git_dir.string());
        if (!place.work_tree.empty())
            set_variable(environment, "GIT_WORK_TREE=" + place.work_tree.string());
    }
    if (!place.date.empty()) {
        set_variable(environment, "GIT_AUTHOR_DATE=" + place.date);
        set_variable(environment, "GIT_COMMITTER_DATE=" + place.date);
    }
    if (!place.index.empty()) set_variable(environment, "GIT_INDEX_FILE=" + place.index.string());
    return environment;
}

}  // namespace

Git::Git(std::shared_ptr<Spawner> spawner, std::shared_ptr<Clock> clock)
    : spawner_(std::move(spawner)), gate_(std::make_shared<Gate>(std::move(clock), most_processes))
{}

asio::awaitable<ProgramOutput> Git::run(const Place& place, Words words,
                                        std::optional<int> lock) const
{
    ProcessSpec spec;
    spec.orphan_grace = orphan_grace;
    spec.held = held_;
    if (lock) spec.held.push_back(*lock);
    spec.argv.reserve(words.size() + 2 * settings.size() + 1);
    spec.argv.emplace_back("git");
    for (const auto setting : settings) {
        spec.argv.emplace_back("-c");
        spec.argv.emplace_back(setting);
    }
    std::move(words.begin(), words.end(), std::back_inserter(spec.argv));
    spec.directory = place.work_tree.empty() ? place.git_dir : place.work_tree;
    spec.environment = environment_of(place);
    for (const auto& variable : identity_) set_variable(spec.environment, variable);
    return in_turn(std::move(spec));
}

asio::awaitable<ProgramOutput> Git::run_other(const fs::path& folder, Words argv) const
{
    ProcessSpec spec;
    spec.argv = std::move(argv);
    spec.directory = folder;
    spec.environment = process::inherited_environment();
    return in_turn(std::move(spec));
}

asio::awaitable<ProgramOutput> Git::in_turn(ProcessSpec spec) const
{
    co_await gate_->enter();
    auto output = co_await process::run_program(spawner_, std::move(spec), most_output);
    gate_->leave();
    co_return output;
}

void Git::set_identity(std::string_view name, std::string_view email)
{
    identity_.clear();
    for (const std::string_view role : {"GIT_AUTHOR_", "GIT_COMMITTER_"}) {
        identity_.push_back(std::string(role).append("NAME=").append(name));
        identity_.push_back(std::string(role).append("EMAIL=").append(email));
    }
}

std::string line_of(const ProgramOutput& output)
{
    auto text = output.output;
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

std::string reason_of(const ProgramOutput& output)
{
    if (!output.exit.error.empty()) return output.exit.error;
    auto text = protocol::valid_utf8(output.errors.empty() ? output.output : output.errors);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    if (text.empty()) return "git ended without a word";
    return protocol::printable(protocol::tail(text, longest_reason));
}

std::vector<std::string_view> split_nul(std::string_view text)
{
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const auto end = std::min(text.find('\0'), text.size());
        parts.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

bool is_object_id(std::string_view text)
{
    return (text.size() == 40 || text.size() == 64) &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string shown(std::string_view text)
{
    return protocol::printable(protocol::valid_utf8(text));
}

}  // namespace autoexec::git
