#pragma once

#include <fmt/format.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the benchmarks share. A program does one thing once and prints what that took, as JSON;
/// `run` repeats it and compares.
namespace autoexec::bench {

using seconds = std::chrono::duration<double>;

inline void check(bool holds, std::string_view what)
{
    if (holds) return;
    fmt::print(stderr, "failed: {}\n", what);
    std::exit(1);
}

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

/// Of memory. `getrusage` would count what the starting process used before the exec, too.
inline double peak_bytes()
{
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
        if (double kib = 0; word == "VmHWM:" && status >> kib) return 1024 * kib;
    return 0;
}

inline double quantile(std::vector<double> values, double q)
{
    check(!values.empty(), "nothing was measured");
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
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

using Figures = std::vector<std::pair<const char*, double>>;

inline void print_figures(const Figures& figures)
{
    const char* separator = "{";
    for (const auto& [name, value] : figures) {
        fmt::print("{}\"{}\": {:.9g}", separator, name, value);
        separator = ", ";
    }
    fmt::print("}}\n");
}

/// The words after the program's name: what to measure, then numbers.
class Arguments {
public:
    Arguments(int count, char** words) : words_(words + 1, words + count)
    {
        check(!words_.empty(), "usage: PROGRAM WAY [NUMBER]...; bench/run knows them");
    }

    [[nodiscard]] const std::string& way() const { return words_.front(); }
    [[nodiscard]] std::size_t number(std::size_t index, std::size_t otherwise) const
    {
        return index + 1 < words_.size() ? std::stoul(words_[index + 1]) : otherwise;
    }

private:
    std::vector<std::string> words_;
};

/// A folder in TMPDIR that is removed at the end. What it does is done in child processes, so that
/// who counts this one's system calls counts only what is measured.
class Scratch {
public:
    Scratch()
    {
        auto text = (std::filesystem::temp_directory_path() / "autoexec-bench-XXXXXX").string();
        check(::mkdtemp(text.data()) != nullptr, "mkdtemp");
        path_ = text;
    }
    ~Scratch()
    {
        in_child([&] { std::filesystem::remove_all(path_); });
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// New folders to work in, empty but for what makes them worktrees of one repository if
    /// `in_git`.
    [[nodiscard]] std::vector<std::filesystem::path> make_trees(std::size_t count,
                                                                bool in_git = false) const
    {
        std::vector<std::filesystem::path> trees;
        for (std::size_t i = 0; i < count; ++i) trees.push_back(path_ / fmt::format("tree-{}", i));
        in_child([&] {
            for (const auto& tree : trees) {
                std::filesystem::create_directory(tree);
                if (in_git) make_worktree(tree);
            }
        });
        return trees;
    }

private:
    template <class Work>
    static void in_child(Work&& work)
    {
        const auto child = ::fork();
        if (child == 0) {
            work();
            std::_Exit(0);
        }
        int status = 0;
        check(::waitpid(child, &status, 0) == child && status == 0, "preparing a folder");
    }

    // What `git worktree add` leaves; by hand, since git takes milliseconds for each.
    void make_worktree(const std::filesystem::path& tree) const
    {
        const auto common = path_ / ".git";
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

/// `wanted`, or as many as the limit of descriptors allows.
inline std::size_t within_descriptors(std::size_t wanted, std::size_t descriptors_each)
{
    return std::min(wanted, (raise_descriptor_limit() - 100) / descriptors_each);
}

inline std::size_t open_descriptors()
{
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all))) - 1;
}

}  // namespace autoexec::bench
