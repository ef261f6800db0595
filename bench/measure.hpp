#pragma once

#include <fmt/format.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// What all benchmarks share. Times of one run are compared with each other, never with those of
/// another machine or day: print ratios.
namespace autoexec::bench {

using seconds = std::chrono::duration<double>;

/// Of this process and of its children that ended.
inline seconds cpu_time()
{
    double sum = 0;
    for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
        rusage used{};
        ::getrusage(who, &used);
        for (const auto& t : {used.ru_utime, used.ru_stime})
            sum += static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    }
    return seconds(sum);
}

/// Of this thread: finer than `cpu_time`, for what takes microseconds.
inline seconds thread_cpu_time()
{
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return seconds(static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9);
}

inline double quantile(std::vector<double> values, double q)
{
    if (values.empty()) throw std::logic_error("nothing was measured");
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

inline double median(std::vector<double> values)
{
    return quantile(std::move(values), 0.5);
}

struct Cost {
    double wall = 0;  ///< Seconds, as is the next one.
    double cpu = 0;
};

template <class Work>
Cost cost_of(Work&& work)
{
    const auto cpu = cpu_time();
    const auto start = std::chrono::steady_clock::now();
    std::forward<Work>(work)();
    const seconds wall = std::chrono::steady_clock::now() - start;
    return {wall.count(), (cpu_time() - cpu).count()};
}

/// One of several ways that are measured in turn, so that a noisy minute hits all of them.
struct Contender {
    std::string name;
    std::function<Cost()> run;
    std::vector<Cost> costs;

    [[nodiscard]] double cpu() const { return median_of(&Cost::cpu); }
    [[nodiscard]] double wall() const { return median_of(&Cost::wall); }

    /// The median over the rounds: this one's CPU time divided by the other's of the same round.
    [[nodiscard]] double cpu_ratio(const Contender& other) const
    {
        std::vector<double> ratios;
        for (std::size_t i = 0; i < costs.size(); ++i)
            ratios.push_back(costs[i].cpu / other.costs[i].cpu);
        return median(std::move(ratios));
    }

private:
    double median_of(double Cost::*part) const
    {
        std::vector<double> values;
        for (const auto& cost : costs) values.push_back(cost.*part);
        return median(std::move(values));
    }
};

inline void run_in_turn(std::vector<Contender>& contenders, int rounds = 5)
{
    for (int i = 0; i < rounds; ++i)
        for (auto& contender : contenders) contender.costs.push_back(contender.run());
}

/// A folder that is removed at the end: in memory where there is such a place, since disks differ
/// more than programs do.
class Scratch {
public:
    Scratch()
    {
        const bool in_memory = ::access("/dev/shm", W_OK) == 0;
        auto name = (in_memory ? std::filesystem::path("/dev/shm")
                               : std::filesystem::temp_directory_path()) /
                    "autoexec-bench-XXXXXX";
        auto text = name.string();
        if (::mkdtemp(text.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
        path_ = text;
    }
    ~Scratch()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// New folders to work in, empty but for what makes them git worktrees if `in_git`.
    [[nodiscard]] std::vector<std::filesystem::path> make_trees(std::size_t count,
                                                                bool in_git = false) const
    {
        std::vector<std::filesystem::path> trees;
        for (std::size_t i = 0; i < count; ++i) {
            trees.push_back(path_ / fmt::format("{}tree-{}", in_git ? "git-" : "", i));
            std::filesystem::create_directory(trees.back());
            if (in_git) make_worktree(trees.back());
        }
        return trees;
    }

private:
    // What `git worktree add` leaves; by hand, since git takes milliseconds for each.
    void make_worktree(const std::filesystem::path& tree) const
    {
        const auto common = path_ / "repository" / ".git";
        const auto git_dir = common / "worktrees" / tree.filename();
        for (const auto& folder : {common / "objects", common / "refs", git_dir})
            std::filesystem::create_directories(folder);
        std::ofstream(common / "HEAD") << "ref: refs/heads/main\n";
        std::ofstream(git_dir / "HEAD") << "ref: refs/heads/" << tree.filename().string() << "\n";
        std::ofstream(git_dir / "commondir") << "../..\n";
        std::ofstream(git_dir / "gitdir") << (tree / ".git").string() << "\n";
        std::ofstream(tree / ".git") << "gitdir: " << git_dir.string() << "\n";
    }

    std::filesystem::path path_;
};

/// As many descriptors as the system grants. Returns how many that are.
inline std::size_t raise_descriptor_limit()
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<std::size_t>(limit.rlim_cur);
}

inline std::size_t open_descriptors()
{
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all))) - 1;
}

template <class... Values>
void say(fmt::format_string<Values...> format, Values&&... values)
{
    fmt::print(format, std::forward<Values>(values)...);
    fmt::print("\n");
    std::fflush(stdout);
}

}  // namespace autoexec::bench
