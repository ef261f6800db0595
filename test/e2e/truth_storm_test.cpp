#include "support/project.hpp"

#include <doctest/doctest.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstdlib>
#include <optional>

// Git commands and forged status files race in the worktrees while programs run. No command may end
// before its program has. AUTOEXEC_STORM_COMMANDS sets how many commands run; a few by default.

using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t default_commands = 48;
constexpr std::size_t batch_size = 96;
constexpr std::size_t tree_count = 6;
constexpr std::size_t external_every = 4;  // batches
constexpr std::chrono::minutes batch_bound{10};

// race NUMBER FOLDER CLAIMS: its last act is the proof FOLDER/NUMBER; its code is always 7, which
// no forged status has. What it started goes on until the supervisor ends it.
constexpr char race_script[] = R"sh(n=$1 proofs=$2 claims=$3
id=$(sed -n 's/.*"attempt_id": "\([^"]*\)".*/\1/p' .cursor-skill-command.txt)
dir=$(git rev-parse --absolute-git-dir)
status=.cursor-skill-status.json

use_git() {
    i=$n
    while :; do
        i=$((i + 1))
        rm -f "$dir/index.lock"
        case $((i % 8)) in
        0) git checkout -q -f --detach left ;;
        1) git reset -q --hard left ;;
        2) git checkout -q -f --detach main; git merge -q --no-edit left ;;
        3) git checkout -q -f --detach left; echo >>$status; git stash -q; git stash pop -q ;;
        4) git clean -q -f -d -x ;;
        5) git merge --abort; git reset -q --hard main ;;
        6) git stash -q -a ;;
        7) git stash clear; [ $((n % 50)) -ne 0 ] || git gc -q ;;
        esac
    done
}

forge() {
    mkdir -p .cursor
    while :; do
        echo '{"status": "completed"}' >$status
        echo '{"version": "1.0", "status": "completed", "attempt_id": "'$id'"}' >.cursor/$status
        echo '{"version": "1.0", "status": "completed", "attempt_id": "'$id'", "sequence": 9}' \
            >.forged.$n && mv .forged.$n $status
        echo '{"version": "1.0", "status": "completed"}' >$status
        rm -f $status
    done
}

attack_claim() {
    claim=$dir/autoexec/claims/$id.json
    case $1 in
    0) rm -f "$claim" ;;
    1) echo '{}' >"$claim.new"; mv "$claim.new" "$claim" ;;
    2) echo '{"host": "elsewhere"}' >"$claim" ;;
    esac
}

use_git >/dev/null 2>&1 &
forge >/dev/null 2>&1 &
sleep 0.0$((n % 7 + 1))
[ "$claims" = keep ] || attack_claim $((n % 5))
sleep 0.0$((n % 5 + 1))
echo >"$proofs/$n"
exit 7
)sh";

std::size_t wanted_commands()
{
    const char* const text = std::getenv("AUTOEXEC_STORM_COMMANDS");
    return text == nullptr ? default_commands : std::stoul(text);
}

/// The commands of one executor after the other, and what became of them.
class TruthStorm {
public:
    TruthStorm()
    {
        fs::create_directories(proofs());
        write_file(stage() / "race", race_script);
        project_.add_agent("shell", "/bin/sh -c {command}");
        project_.git({"checkout", "-q", "-b", "left"});
        project_.write(".cursor-skill-status.json", R"({"status": "completed"})");
        project_.git({"add", "-f", ".cursor-skill-status.json"});
        project_.git({"commit", "-q", "-m", "left by an agent"});
        project_.git({"checkout", "-q", "main"});
        for (std::size_t i = 0; i < tree_count; ++i)
            trees_.push_back(project_.worktree("tree-" + std::to_string(i)));
    }

    /// With an agent of another process the claims are left alone: one that is removed before the
    /// executor's first poll was never seen.
    void run_batch(std::size_t count, bool external)
    {
        auto start = project_.start({"run", "--json", "--list", "-", "-j", "0", "--timeout", "60s",
                                     "--polling-interval", external ? "20ms" : "100ms"});
        if (external) start.argv.emplace_back("--external-agent");
        for (std::size_t i = 0; i < count; ++i) start.input += next_command(external);
        std::optional<Program> agent;
        if (external) agent.emplace(project_.start({"agent"}));
        Program engine(start);
        const auto deadline = std::chrono::steady_clock::now() + batch_bound;
        while (!engine.ends_within(5ms)) {
            check_lines(engine.out());
            REQUIRE(std::chrono::steady_clock::now() < deadline);
        }
        check_lines(engine.wait().out);
        checked_ = 0;
        if (!agent) return;
        agent->signal(SIGTERM);
        CHECK(agent->wait().code == 0);
    }

    [[nodiscard]] std::size_t results() const noexcept { return results_; }
    [[nodiscard]] std::size_t false_ends() const noexcept { return false_ends_; }
    [[nodiscard]] const std::map<std::string, std::size_t>& others() const noexcept
    {
        return others_;
    }

private:
    [[nodiscard]] fs::path stage() const { return project_.root().parent_path() / "stage"; }
    [[nodiscard]] fs::path proofs() const { return stage() / "proofs"; }

    std::string next_command(bool external)
    {
        const auto n = ++number_;
        boost::json::object o;
        o["command"] = "sh " + (stage() / "race").string() + " " + std::to_string(n) + " " +
                       proofs().string() + (external ? " keep" : " attack");
        o["worktree"] = trees_[n % tree_count].string();
        return boost::json::serialize(o) + "\n";
    }

    /// The lines that have come since the last call.
    void check_lines(const std::string& out)
    {
        const auto end = out.rfind('\n') + 1;
        for (const auto& result : objects_of(out.substr(checked_, end - checked_))) check(result);
        checked_ = end;
    }

    void check(const boost::json::object& result)
    {
        ++results_;
        const auto command = text_at(result, "command");
        const auto words = command.substr(command.find("race ") + 5);
        const bool ended = fs::exists(proofs() / words.substr(0, words.find(' ')));
        const auto status = text_at(result, "status");
        const bool own = status == "failed" && text_at(result, "exit_code") == "7";
        if (own && ended) return;
        if (status == "completed" || own) {
            ++false_ends_;
            CHECK_MESSAGE(false, boost::json::serialize(result));
        } else {
            ++others_[status + ": " + text_at(result, "error")];
        }
    }

    Project project_;
    std::vector<fs::path> trees_;
    std::size_t number_ = 0;
    std::size_t checked_ = 0;  // bytes of the executor's output
    std::size_t results_ = 0;
    std::size_t false_ends_ = 0;
    std::map<std::string, std::size_t> others_;
};

}  // namespace

TEST_CASE("no git command and no forged status ends a command before its program")
{
    const auto wanted = wanted_commands();
    TruthStorm storm;
    for (std::size_t done = 0, batch = 1; done < wanted; ++batch) {
        const auto count = std::min({batch_size, wanted - done, (wanted + 1) / 2});
        storm.run_batch(count, batch % external_every == 0 || (wanted <= batch_size && batch == 2));
        done += count;
        if (wanted > default_commands)
            MESSAGE(storm.results() << " commands, " << storm.false_ends() << " false ends");
    }
    CHECK(storm.results() == wanted);
    CHECK(storm.false_ends() == 0);
    for (const auto& [end, count] : storm.others()) MESSAGE(count << " × " << end);
}
