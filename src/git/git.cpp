#include "git/git.hpp"

#include "git/call_limit.hpp"
#include "git/configured_programs.hpp"
#include "git/git_environment.hpp"
#include "text/text.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

// Enough for a list of a million files.
constexpr std::size_t max_output = 256 * 1024 * 1024;
constexpr std::size_t max_reason = 2000;
constexpr std::size_t max_processes = 32;
// A stopped git may leave a lock or a partial worktree.
constexpr std::chrono::minutes orphan_grace{1};
// Git ends at once; a filter program may not.
constexpr std::chrono::seconds stop_grace{2};

// Called in every case; otherwise the watch would wait until the limit.
class EndOfCall {
public:
    explicit EndOfCall(CallLimit& limit) : limit_(limit) {}
    ~EndOfCall() { limit_.call_ended(); }
    EndOfCall(const EndOfCall&) = delete;
    EndOfCall& operator=(const EndOfCall&) = delete;

private:
    CallLimit& limit_;
};

}  // namespace

struct Git::Call {
    Call(ProcessSpec process, std::string text, std::chrono::milliseconds time_limit)
        : spec(std::move(process)), name(std::move(text)), limit(time_limit)
    {}

    ProcessSpec spec;
    std::string name;  ///< For messages.
    std::chrono::milliseconds limit;
};

Git::Git(std::shared_ptr<Spawner> spawner, std::shared_ptr<Clock> clock,
         std::shared_ptr<Interrupt> interrupt)
    : spawner_(std::move(spawner)),
      clock_(std::move(clock)),
      interrupt_(std::move(interrupt)),
      slots_(std::make_shared<async::FifoSemaphore>(max_processes))
{
    if (!interrupt_) interrupt_ = std::make_shared<Interrupt>();
}

Git Git::uninterrupted() const
{
    auto other = *this;
    other.interrupt_ = std::make_shared<Interrupt>();
    return other;
}

asio::awaitable<ProgramOutput> Git::run(const GitContext& context, Words words,
                                        std::optional<int> lock) const
{
    const std::string subcommand(subcommand_of(words));
    ProcessSpec spec;
    spec.orphan_grace = orphan_grace;
    spec.stop_grace = stop_grace;
    spec.held = held_;
    if (lock) spec.held.push_back(*lock);
    spec.argv = hardened_command();
    std::move(words.begin(), words.end(), std::back_inserter(spec.argv));
    spec.directory = context.work_tree.empty() ? context.git_dir : context.work_tree;
    spec.environment = environment_for(context);
    for (const auto& variable : identity_) set_variable(spec.environment, variable);
    return perform(context, Call(std::move(spec), "git " + subcommand,
                                 std::min(limit_of(subcommand), max_limit_)));
}

// The programs to switch off are in the configuration, which only git reads exactly.
asio::awaitable<ProgramOutput> Git::perform(GitContext context, Call call) const
{
    if (has_untrusted_config(context)) {
        Call reading(call.spec, "git config", reading_limit);
        reading.spec.argv = hardened_command();
        for (const auto* const word : {"config", "--list", "--includes", "--show-scope", "-z"})
            reading.spec.argv.emplace_back(word);
        auto listing = co_await in_turn(std::move(reading));
        if (!listing.ok()) co_return listing;
        const auto off = untrusted_programs(listing.output, context.trusted);
        add_settings(call.spec.environment, off.settings);
        if (off.transports) set_variable(call.spec.environment, "GIT_ALLOW_PROTOCOL=none");
    }
    co_return co_await in_turn(std::move(call));
}

asio::awaitable<ProgramOutput> Git::run_other(const fs::path& folder, Words argv) const
{
    ProcessSpec spec;
    auto name = argv.front();
    spec.argv = std::move(argv);
    spec.directory = folder;
    spec.environment = process::inherited_environment();
    spec.stop_grace = stop_grace;
    return in_turn(Call(std::move(spec), std::move(name), writing_limit));
}

asio::awaitable<ProgramOutput> Git::in_turn(Call call) const
{
    const auto ex = co_await asio::this_coro::executor;
    const auto alarm = clock_->make_timer(ex);
    async::SemaphoreGuard slot(*slots_, *alarm);
    co_await slot.admission();
    const auto limit = std::make_shared<CallLimit>(call.name, call.limit, clock_, interrupt_);
    ProgramOutput output;
    if (limit->is_interrupted()) {
        limit->refuse();
    } else {
        const EndOfCall end(*limit);
        process::OnStart watch = [&](std::weak_ptr<Process> process) {
            limit->watch(ex, std::move(process));
        };
        output = co_await process::run_program(spawner_, std::move(call.spec), max_output,
                                               std::move(watch));
    }
    if (!limit->problem().empty() && !output.ok()) output.exit.error = limit->problem();
    co_return output;
}

Words version_command()
{
    return {"git", "--version"};
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
    auto text = text::valid_utf8(output.errors.empty() ? output.output : output.errors);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    if (text.empty()) return "git printed no error";
    return text::printable(text::tail(text, max_reason));
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
    return text::printable(text::valid_utf8(text));
}

}  // namespace autoexec::git
