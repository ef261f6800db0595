#include "async/short_names.hpp"
#include "autoexec/ports.hpp"
#include "process/control.hpp"
#include "support/program.hpp"
#include "support/temporary_folder.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace autoexec;
using namespace std::chrono_literals;
using test::eventually;
using test::read_file;
namespace fs = std::filesystem;

namespace {

constexpr const char* supervisor = AUTOEXEC_BINARY_DIR "/autoexec-supervise";
constexpr auto grace = 200ms;

std::size_t open_descriptors()
{
    const fs::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

bool has_child()
{
    return ::waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG | WNOWAIT) == 0;
}

struct Outcome {
    ProcessExit exit;
    std::string out;
    std::string err;
    std::chrono::steady_clock::duration took{0};
};

/// A folder to work in, and a mark by which all processes that a test starts can be found.
/// However a test ends, none of them is left.
struct Host {
    Host() = default;
    ~Host()
    {
        CHECK(eventually([this] { return marked() == 0; }));
    }
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    ProcessSpec spec(std::vector<std::string> argv) const
    {
        ProcessSpec wanted;
        wanted.argv = std::move(argv);
        wanted.directory = folder;
        wanted.environment = {"PATH=/usr/bin:/bin", mark};
        wanted.stop_grace = grace;
        return wanted;
    }
    ProcessSpec shell(std::string script) const { return spec({"sh", "-c", std::move(script)}); }

    std::size_t marked() const
    {
        std::size_t count = 0;
        std::error_code ec;
        for (fs::directory_iterator at("/proc", ec), end; at != end; at.increment(ec))
            if (read_file(at->path() / "environ").find(mark) != std::string::npos) ++count;
        return count;
    }

    bool exists(const char* file) const { return fs::exists(folder / file); }

    std::unique_ptr<Process> spawn(const ProcessSpec& wanted)
    {
        error_code ec;
        std::string why;
        auto process = spawner->spawn(io.get_executor(), wanted, ec, why);
        REQUIRE_MESSAGE(!ec, why);
        return process;
    }

    /// `on_output` is told of every chunk once it is in the outcome.
    Outcome finish(Process& process, const std::function<void(const Outcome&)>& on_output = {})
    {
        Outcome outcome;
        bool done = false;
        const auto begin = std::chrono::steady_clock::now();
        asio::co_spawn(io, process.wait([&](OutputStream which, std::string_view text) {
            (which == OutputStream::standard_output ? outcome.out : outcome.err) += text;
            if (on_output) on_output(outcome);
        }),
                       [&](std::exception_ptr failure, ProcessExit exit) {
                           CHECK(!failure);
                           outcome.exit = std::move(exit);
                           done = true;
                       });
        io.restart();
        io.run();
        REQUIRE(done);
        outcome.took = std::chrono::steady_clock::now() - begin;
        return outcome;
    }

    Outcome run(const ProcessSpec& wanted)
    {
        const auto process = spawn(wanted);
        auto outcome = finish(*process);
        CHECK(marked() == 0);
        return outcome;
    }

    /// Stops the program as soon as it says something.
    Outcome run_and_stop(const ProcessSpec& wanted)
    {
        const auto process = spawn(wanted);
        return finish(*process, [&](const Outcome&) { process->stop(); });
    }

    error_code refuses(const ProcessSpec& wanted, std::string& why)
    {
        error_code ec;
        CHECK(spawner->spawn(io.get_executor(), wanted, ec, why) == nullptr);
        return ec;
    }

    test::TemporaryFolder temporary;
    const fs::path& folder = temporary.path();
    std::string mark = "AUTOEXEC_TEST_MARK=" + std::to_string(std::random_device{}()) + "-" +
                       std::to_string(::getpid());
    std::shared_ptr<Spawner> spawner = supervised_spawner(supervisor);
    asio::io_context io;
};

void write_script(const fs::path& path, const std::string& text)
{
    std::ofstream(path) << text;
    fs::permissions(path, fs::perms::owner_all);
}

/// Sets a signal's disposition for as long as it lives.
struct Disposition {
    Disposition(int signal, void (*handler)(int)) : number(signal), old(::signal(signal, handler))
    {}
    ~Disposition() { ::signal(number, old); }
    int number;
    void (*old)(int);
};

// As /proc writes sets of signals.
std::uint64_t bit(int signal)
{
    return std::uint64_t{1} << (signal - 1);
}

}  // namespace

TEST_CASE("a program that exits is reported with its code")
{
    Host host;
    const auto outcome = host.run(host.shell("exit 3"));
    CHECK(outcome.exit.exit_code == 3);
    CHECK(!outcome.exit.signal);
    CHECK(outcome.exit.error.empty());
}

TEST_CASE("a program gets the limit of open files that its spawner was given, if that is lower")
{
    Host host;
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    host.spawner = supervised_spawner(supervisor, 100);
    CHECK(host.run(host.shell("ulimit -S -n")).out == "100\n");
    host.spawner = supervised_spawner(supervisor, before.rlim_cur + 1);
    CHECK(host.run(host.shell("ulimit -S -n")).out == std::to_string(before.rlim_cur) + "\n");
    rlimit after{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &after) == 0);
    CHECK(after.rlim_cur == before.rlim_cur);
}

TEST_CASE("only the program gets its limit of open files, not its supervisor")
{
    Host host;
    constexpr int max_open_files = control::descriptor + 1;
    host.spawner = supervised_spawner(supervisor, max_open_files);
    CHECK(host.run(host.shell("ulimit -S -n")).out == std::to_string(max_open_files) + "\n");
}

TEST_CASE("a program that a signal ends is reported with the signal")
{
    Host host;
    const auto outcome = host.run(host.shell("kill -SEGV $$"));
    CHECK(outcome.exit.signal == SIGSEGV);
    CHECK(!outcome.exit.exit_code);
}

TEST_CASE("a program that does not exist is an exit with the reason")
{
    Host host;
    const auto outcome = host.run(host.spec({"no-such-program"}));
    CHECK(outcome.exit.error == "Cannot start \"no-such-program\": No such file or directory.");
    CHECK(!outcome.exit.exit_code);
    CHECK(!outcome.exit.signal);
}

TEST_CASE("a file that is not executable is an exit with the reason")
{
    Host host;
    std::ofstream(host.folder / "plain") << "text";
    const auto outcome = host.run(host.spec({"./plain"}));
    CHECK(outcome.exit.error == "Cannot start \"./plain\": Permission denied.");
}

TEST_CASE("the program is looked up in the PATH of its own environment")
{
    Host host;
    write_script(host.folder / "only-there", "#!/bin/sh\necho found\n");
    auto spec = host.spec({"only-there"});
    spec.environment[0] = "PATH=" + host.folder.string();
    CHECK(host.run(spec).out == "found\n");
}

TEST_CASE("what cannot be started is refused before anything runs")
{
    Host host;
    std::string why;
    CHECK(host.refuses(host.spec({}), why) == boost::system::errc::invalid_argument);
    CHECK(host.refuses(host.spec({std::string("a\0b", 3)}), why) ==
          boost::system::errc::invalid_argument);
    auto elsewhere = host.shell("true");
    elsewhere.directory = host.folder / "missing";
    CHECK(host.refuses(elsewhere, why) == boost::system::errc::no_such_file_or_directory);
    CHECK(why.find("missing") != std::string::npos);
    host.spawner = supervised_spawner(host.folder / "missing");
    CHECK(host.refuses(host.shell("true"), why) == errc::supervisor_unavailable);
    CHECK(host.marked() == 0);
}

TEST_CASE("a supervisor is started that only the user who opened it can reach")
{
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can become another user");
        return;
    }
    Host host;
    fs::permissions(host.folder, fs::perms(0755));
    const auto home = host.folder / "home";
    fs::create_directory(home);
    fs::copy_file(supervisor, home / "supervisor");
    fs::permissions(home, fs::perms::owner_all);
    host.spawner = supervised_spawner(home / "supervisor");
    REQUIRE(::seteuid(65534) == 0);
    const auto outcome = host.run(host.spec({"id", "-u"}));
    std::string why;
    const auto later = supervised_spawner(home / "supervisor");
    host.spawner = later;
    const auto refused = host.refuses(host.shell("true"), why);
    REQUIRE(::seteuid(0) == 0);
    CHECK(outcome.exit.exit_code == 0);
    CHECK(outcome.out == "65534\n");
    CHECK(refused == errc::supervisor_unavailable);
    CHECK(why.find((home / "supervisor").string() + ": Permission denied") != std::string::npos);
}

TEST_CASE("a supervisor that an upgrade replaces remains the one of the running program")
{
    Host host;
    const auto copy = host.folder / "supervisor";
    fs::copy_file(supervisor, copy);
    host.spawner = supervised_spawner(copy);
    fs::remove(copy);
    write_script(copy, "#!/bin/sh\nexit 1\n");
    CHECK(host.run(host.shell("exit 3")).exit.exit_code == 3);
}

TEST_CASE("a supervisor that is installed later is found then")
{
    Host host;
    const auto copy = host.folder / "supervisor";
    host.spawner = supervised_spawner(copy);
    fs::copy_file(supervisor, copy);
    CHECK(host.run(host.shell("exit 3")).exit.exit_code == 3);
}

TEST_CASE("a supervisor has its own name, however it was started")
{
    Host host;
    CHECK(host.run(host.shell("cat /proc/$PPID/comm")).out == "autoexec-superv\n");
}

TEST_CASE("an argument that the system does not take is refused with a way out")
{
    Host host;
    std::string why;
    CHECK(host.refuses(host.spec({"true", std::string(131'072, 'x')}), why) ==
          boost::system::errc::argument_list_too_long);
    CHECK(why.find("{command_file_path}") != std::string::npos);
    CHECK(host.run(host.spec({"true", std::string(131'071, 'x')})).exit.exit_code == 0);

    CHECK(host.refuses(host.spec({"true", std::string("a\0b", 3)}), why) ==
          boost::system::errc::invalid_argument);
    CHECK(why == "Argument 1 of \"true\" contains a NUL character.");

    const std::vector<std::string> many(100, std::string(131'071, 'x'));
    CHECK(host.refuses(host.spec(many), why) == boost::system::errc::argument_list_too_long);
    CHECK(why.find("{command_file_path}") != std::string::npos);
}

TEST_CASE("both streams arrive whole and in order")
{
    Host host;
    std::string expected;
    for (int i = 1; i <= 170'000; ++i) expected += std::to_string(i) + "\n";
    REQUIRE(expected.size() > 1'000'000);
    const auto outcome = host.run(host.shell("seq 1 170000 & seq 1 170000 >&2; wait"));
    CHECK((outcome.out == expected));
    CHECK((outcome.err == expected));
}

TEST_CASE("a program that writes line by line does not wake its reader for each line")
{
    Host host;
    const auto process =
        host.spawn(host.shell("i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done"));
    int reads = 0;
    const auto outcome = host.finish(*process, [&](const Outcome&) { ++reads; });
    CHECK(outcome.exit.exit_code == 0);
    CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 2000);
    CHECK(reads < 100);
}

TEST_CASE("the program sees the null device, its directory, its environment, and nothing else")
{
    Host host;
    int inheritable[2];
    REQUIRE(::pipe(inheritable) == 0);
    CHECK(host.run(host.shell("readlink /proc/$$/fd/0")).out == "/dev/null\n");
    CHECK(host.run(host.spec({"pwd", "-P"})).out == host.folder.string() + "\n");
    CHECK(host.run(host.spec({"env"})).out == "PATH=/usr/bin:/bin\n" + host.mark + "\n");
    CHECK(host.run(host.shell("for i in $(seq 3 99); do [ ! -e /proc/$$/fd/$i ] || echo $i; done"))
              .out.empty());
    ::close(inheritable[0]);
    ::close(inheritable[1]);
}

TEST_CASE("input of any length arrives whole, and cannot be changed")
{
    Host host;
    auto spec = host.shell("wc -c; echo more >>/proc/$$/fd/0 || echo refused");
    spec.input = std::string(3'000'000, 'x');
    CHECK(host.run(spec).out == "3000000\nrefused\n");
    spec = host.shell("sleep 0; exit 3");  // a program need not read it
    spec.input = "ignored";
    CHECK(host.run(spec).exit.exit_code == 3);
    // A descendant that reads it later finds the rest.
    spec = host.shell("read first; (cat)");
    spec.input = "one\ntwo\nthree";
    CHECK(host.run(spec).out == "two\nthree");
}

TEST_CASE("arguments arrive as they are")
{
    Host host;
    const std::vector<std::string> arguments{"-n",         "--",          "",
                                             "two\nlines", "'\"$(id)`\\", "grüße ✓"};
    auto spec = host.shell("for a; do printf '<%s>' \"$a\"; done");
    spec.argv.push_back("sh");
    std::string expected;
    for (const auto& argument : arguments) {
        spec.argv.push_back(argument);
        expected += "<" + argument + ">";
    }
    CHECK(host.run(spec).out == expected);
}

TEST_CASE("an interactive program reads what is written while it runs")
{
    Host host;
    auto spec = host.shell("read -r line; echo \"got $line\"; wc -c");
    spec.interactive = true;
    const auto process = host.spawn(spec);
    process->write("one\n");
    const auto outcome = host.finish(*process, [&](const Outcome& so_far) {
        if (so_far.out != "got one\n") return;
        process->write(std::string(3'000'000, 'x'));
        process->close_input();
        process->write("too late");
    });
    CHECK(outcome.out == "got one\n3000000\n");
    CHECK(outcome.exit.exit_code == 0);
}

TEST_CASE("an interactive program that does not read is no obstacle")
{
    Host host;
    const Disposition deadly(SIGPIPE, SIG_DFL);
    const auto spec_of = [&host](std::string script) {
        auto spec = host.shell(std::move(script));
        spec.interactive = true;
        return spec;
    };
    SUBCASE("it ends")
    {
        const auto process = host.spawn(spec_of("echo hi"));
        process->write(std::string(3'000'000, 'x'));
        CHECK(host.finish(*process).exit.exit_code == 0);
        process->write("more");
        process->close_input();
    }
    SUBCASE("it is stopped")
    {
        const auto process = host.spawn(spec_of("echo hi; exec sleep 60"));
        process->write(std::string(3'000'000, 'x'));
        const auto outcome = host.finish(*process, [&](const Outcome&) { process->stop(); });
        CHECK(outcome.exit.signal == SIGTERM);
    }
    SUBCASE("there is more input than can be kept")
    {
        const auto process = host.spawn(spec_of("echo hi; read -r a; wc -c"));
        for (int i = 0; i < 4; ++i) process->write(std::string(30 * 1024 * 1024, 'x'));
        CHECK(host.finish(*process).exit.exit_code == 0);
    }
    std::string why;
    auto spec = spec_of("true");
    spec.input = "text";
    CHECK(host.refuses(spec, why));
}

TEST_CASE("use of time and memory counts descendants")
{
    Host host;
    const auto outcome =
        host.run(host.shell("sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done' & wait"));
    CHECK(outcome.exit.cpu > 5ms);
    CHECK(outcome.exit.cpu < 20s);
    CHECK(outcome.exit.peak_memory_kib > 100);
}

TEST_CASE("a daemon that ignores TERM is killed when the program has ended")
{
    Host host;
    const auto outcome = host.run(
        host.shell("(setsid sh -c 'trap \"\" TERM; touch up; while :; do sleep 0.01; done' &); "
                   "until [ -e up ]; do sleep 0.01; done; exit 4"));
    CHECK(outcome.exit.exit_code == 4);
    CHECK(outcome.took >= grace);
}

TEST_CASE("a daemon that obeys TERM is not waited for longer than it takes")
{
    Host host;
    auto spec = host.shell("setsid sleep 1000 & exit 0");
    spec.stop_grace = 1h;
    CHECK(host.run(spec).took < 30s);
}

TEST_CASE("a chain of processes that each start the next and exit is ended")
{
    Host host;
    const auto outcome =
        host.run(host.shell("trap '' TERM; hop() { hop & }; setsid sleep 1000 & hop & exit 0"));
    CHECK(outcome.exit.error.empty());
}

TEST_CASE("a stopped program that ignores TERM is killed after the grace")
{
    Host host;
    const auto outcome =
        host.run_and_stop(host.shell("trap '' TERM; echo ready; while :; do sleep 0.01; done"));
    CHECK(outcome.exit.signal == SIGKILL);
    CHECK(outcome.took >= grace);
}

TEST_CASE("a stopped program can end by itself within the grace")
{
    Host host;
    auto spec =
        host.shell("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    spec.stop_grace = 1h;
    const auto outcome = host.run_and_stop(spec);
    CHECK(outcome.exit.exit_code == 7);
    CHECK(outcome.out == "ready\nbye\n");
}

TEST_CASE("a suspended program notices a stop")
{
    Host host;
    auto spec = host.shell("trap 'exit 7' TERM; echo ready; while :; do kill -STOP $$; done");
    spec.stop_grace = 1h;
    CHECK(host.run_and_stop(spec).exit.exit_code == 7);
}

TEST_CASE("a stop before the wait, a second one and one after the end do no harm")
{
    Host host;
    const auto process = host.spawn(host.shell("while :; do sleep 0.01; done"));
    process->stop();
    process->stop();
    CHECK(host.finish(*process).exit.signal == SIGTERM);
    process->stop();
}

TEST_CASE("a stop that crosses the end on its way loses nothing")
{
    Host host;
    for (int i = 0; i < 50; ++i) {
        const auto exit = host.run_and_stop(host.spec({"echo", "ready"})).exit;
        CHECK(exit.error.empty());
        CHECK((exit.exit_code == 0 || exit.signal == SIGTERM));
    }
}

TEST_CASE("a grace of zero kills at once")
{
    Host host;
    auto spec = host.shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    spec.stop_grace = 0ms;
    CHECK(host.run_and_stop(spec).exit.signal == SIGKILL);
}

TEST_CASE("a wait ignores cancellation")
{
    Host host;
    const auto process = host.spawn(host.shell("until [ -e go ]; do sleep 0.01; done; exit 9"));
    asio::cancellation_signal cancel;
    ProcessExit exit;
    asio::co_spawn(
        host.io, process->wait([](OutputStream, std::string_view) {}),
        asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr failure, ProcessExit e) {
            CHECK(!failure);
            exit = std::move(e);
        }));
    host.io.poll();
    cancel.emit(asio::cancellation_type::all);
    host.io.poll();
    std::ofstream(host.folder / "go") << "";
    host.io.run();
    CHECK(exit.exit_code == 9);
}

TEST_CASE("a process that holds the output open does not delay the end")
{
    Host host;
    const auto process =
        host.spawn(host.shell("echo $$ >pid.tmp; mv pid.tmp pid; until [ -e go ]; do sleep 0.01; "
                              "done; echo last"));
    REQUIRE(eventually([&] { return host.exists("pid"); }));
    const int pid = std::stoi(read_file(host.folder / "pid"));
    const int leak =
        ::open(("/proc/" + std::to_string(pid) + "/fd/1").c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(leak >= 0);
    std::ofstream(host.folder / "go") << "";
    CHECK(host.finish(*process).out == "last\n");
    ::close(leak);
}

TEST_CASE(
    "a host that ignores SIGCHLD and SIGPIPE gets the exit code, and the program the defaults")
{
    Host host;
    const Disposition child(SIGCHLD, SIG_IGN);
    const Disposition pipe(SIGPIPE, SIG_IGN);
    sigset_t blocked, before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &blocked, &before);
    const auto outcome = host.run(host.shell(
        "for set in SigIgn SigBlk; do sed -n s/^$set:.//p /proc/self/status; done; exit 5"));
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    CHECK(outcome.exit.exit_code == 5);
    std::istringstream sets(outcome.out);
    std::uint64_t program_ignores = 0, program_blocks = 0;
    REQUIRE((sets >> std::hex >> program_ignores >> program_blocks));
    CHECK((program_ignores & (bit(SIGCHLD) | bit(SIGPIPE))) == 0);
    CHECK((program_blocks & bit(SIGTERM)) == 0);
}

TEST_CASE("a host that reaps every child still gets the exit code")
{
    Host host;
    const auto process = host.spawn(host.shell("exit 5"));
    CHECK(::waitpid(-1, nullptr, 0) == process->pid());
    CHECK(host.finish(*process).exit.exit_code == 5);
}

TEST_CASE("a killed supervisor completes the wait with an error and takes the program along")
{
    Host host;
    const auto process = host.spawn(host.shell("echo ready; exec sleep 1000"));
    const auto outcome = host.finish(
        *process, [&](const Outcome&) { ::kill(static_cast<pid_t>(process->pid()), SIGKILL); });
    CHECK(outcome.exit.error.find("was killed") != std::string::npos);
    CHECK(!outcome.exit.exit_code);
}

TEST_CASE("a program that suspends its supervisor can be stopped")
{
    Host host;
    const auto outcome = host.run_and_stop(host.shell("kill -STOP $PPID; echo ready; sleep 1000"));
    CHECK(outcome.exit.signal == SIGTERM);
}

TEST_CASE("a destroyed process is stopped and reaped")
{
    Host host;
    auto process = host.spawn(host.shell("trap '' TERM; touch up; while :; do sleep 0.01; done"));
    REQUIRE(eventually([&] { return host.exists("up"); }));
    process.reset();
    host.io.run();
    CHECK(!has_child());
}

TEST_CASE("a process that is destroyed during its wait reports nothing more")
{
    Host host;
    auto process = host.spawn(host.shell("while :; do echo more; done"));
    std::string error;
    bool destroyed = false;
    asio::co_spawn(host.io, process->wait([&](OutputStream, std::string_view) {
        CHECK(!destroyed);
        destroyed = true;
        process.reset();
    }),
                   [&](std::exception_ptr, ProcessExit exit) { error = exit.error; });
    host.io.run();
    CHECK(destroyed);
    CHECK(!error.empty());
    CHECK(!has_child());
}

TEST_CASE("a context that ends before its processes leaves none")
{
    Host host;
    {
        asio::io_context io;
        error_code ec;
        std::string why;
        std::shared_ptr<Process> process = host.spawner->spawn(
            io.get_executor(), host.shell("touch up; exec sleep 1000"), ec, why);
        REQUIRE(process);
        asio::co_spawn(io, process->wait([](OutputStream, std::string_view) {}),
                       [process](std::exception_ptr, ProcessExit) {});
        process.reset();
        io.poll();
        REQUIRE(eventually([&] { return host.exists("up"); }));
    }
    CHECK(eventually([&] { return host.marked() == 0; }));
    while (::waitpid(-1, nullptr, WNOHANG) > 0) continue;
}

TEST_CASE("a killed host leaves no process, even when a fork of it lives on")
{
    Host host;
    for (const bool forked : {false, true}) {
        CAPTURE(forked);
        fs::remove(host.folder / "up");
        int release[2];
        REQUIRE(::pipe2(release, O_CLOEXEC) == 0);
        const pid_t victim = ::fork();
        if (victim == 0) {
            error_code ec;
            std::string why;
            const auto process = host.spawner->spawn(
                host.io.get_executor(),
                host.shell("(setsid sh -c 'trap \"\" TERM; touch up; while :; do sleep 0.01; done' "
                           "&); sleep 1000"),
                ec, why);
            ::close(release[1]);
            char byte;
            if (forked) (void)!::fork();
            (void)!::read(release[0], &byte, 1);
            ::_exit(0);
        }
        REQUIRE(eventually([&] { return host.exists("up"); }));
        ::kill(victim, SIGKILL);
        ::waitpid(victim, nullptr, 0);
        CHECK(eventually([&] { return host.marked() == 0; }));
        ::close(release[0]);
        ::close(release[1]);
    }
}

TEST_CASE("a hundred programs leave no descriptor and no zombie")
{
    Host host;
    host.run(host.shell("exit 0"));
    const auto before = open_descriptors();
    for (int i = 0; i < 100; ++i) {
        const auto process = host.spawn(host.spec({"true"}));
        CHECK(host.finish(*process).exit.exit_code == 0);
    }
    CHECK(open_descriptors() == before);
    CHECK(!has_child());
}

TEST_CASE("many programs run at the same time")
{
    Host host;
    constexpr int count = 20;
    std::vector<std::unique_ptr<Process>> processes;
    int ended = 0;
    // Each waits for all the others, so none ends unless all run.
    for (int i = 0; i < count; ++i) {
        processes.push_back(host.spawn(
            host.shell("touch up." + std::to_string(i) + "; until [ $(ls up.* | wc -l) = " +
                       std::to_string(count) + " ]; do sleep 0.01; done")));
        asio::co_spawn(host.io, processes.back()->wait([](OutputStream, std::string_view) {}),
                       [&](std::exception_ptr, ProcessExit exit) { ended += exit.exit_code == 0; });
    }
    host.io.run();
    CHECK(ended == count);
}

TEST_CASE("processes on strands of a context with two threads do not disturb each other")
{
    Host host;
    std::atomic<int> ended = 0;
    const auto run_one = [&host](asio::any_io_executor ex) -> asio::awaitable<ProcessExit> {
        error_code ec;
        std::string why;
        auto process = host.spawner->spawn(ex, host.shell("echo ready; exec sleep 1000"), ec, why);
        // By reference: a temporary lambda that captures by value would be destroyed twice.
        const auto stop = [&process](OutputStream, std::string_view) { process->stop(); };
        co_return co_await process->wait(stop);
    };
    for (int i = 0; i < 10; ++i) {
        const auto strand = asio::make_strand(host.io);
        asio::co_spawn(strand, run_one(strand), [&](std::exception_ptr, ProcessExit exit) {
            if (exit.signal == SIGTERM) ++ended;
        });
    }
    std::thread second([&] { host.io.run(); });
    host.io.run();
    second.join();
    CHECK(ended == 10);
}
