#include "support/git_project.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <vector>

namespace autoexec::test {

void GitProject::committed_steps(const Words& all)
{
    steps(all);
    commit("A workflow");
    head_ = rev("HEAD");
}

Words GitProject::words(const Words& more)
{
    Words all = {"workflow", "run", "workflow.yaml"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

Ended GitProject::resume(const Words& more) const
{
    Words all = {"workflow", "resume"};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
}

std::size_t GitProject::lines_in_journals() const
{
    std::size_t count = 0;
    for (const auto& file : files_in(records() / "workflow-state"))
        count += lines_of(read_file(file)).size();
    return count;
}

void GitProject::go_with_kill_at(std::size_t lines) const
{
    Program program(start(words()));
    REQUIRE(eventually([&] {
        return lines_in_journals() >= lines || program.ends_within(std::chrono::milliseconds(0));
    }));
    program.signal(SIGKILL);
    (void)program.wait();
    if (text_at(newest_run(), "state") == "completed") {
        // Perhaps its executor had not removed its own records yet: the next one does.
        CHECK(run({"run", "--", "true"}).code == 0);
        return;
    }
    const auto ended = resume();
    CHECK_MESSAGE(ended.code == 0, ended.err);
}

std::string GitProject::branch() const
{
    return "workflow/" + text_at(newest_run(), "run_id");
}

std::string GitProject::rev(const std::string& name) const
{
    return git({"rev-parse", "--verify", name});
}

std::string GitProject::shown(const std::string& path, const std::string& in) const
{
    return git({"show", (in.empty() ? branch() : in) + ":" + path});
}

Words GitProject::files(const std::string& in) const
{
    auto lines = lines_of(git({"ls-tree", "-r", in.empty() ? branch() : in}));
    std::erase_if(lines, [](const auto& line) { return contains(line, "\t.cursor/"); });
    return lines;
}

std::string GitProject::listed(const std::string& in) const
{
    auto names = files(in);
    for (auto& name : names) name.erase(0, name.find('\t') + 1);
    return joined(names);
}

bool GitProject::is_untouched() const
{
    return git({"status", "--porcelain"}).empty() && rev("HEAD") == head_ &&
           git({"symbolic-ref", "HEAD"}) == "refs/heads/main\n";
}

fs::path GitProject::place_of_conflict(const std::string& text)
{
    constexpr std::string_view before = "Resolve it in '";
    const auto begin = text.find(before);
    REQUIRE_MESSAGE(begin != text.npos, text);
    const auto from = begin + before.size();
    return text.substr(from, text.find('\'', from) - from);
}

}  // namespace autoexec::test
