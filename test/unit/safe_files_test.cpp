#include "files/safe_files.hpp"

#include "support/descriptor_limit.hpp"
#include "support/planted.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

using namespace autoexec;
using namespace autoexec::files;
using namespace autoexec::test;
using State = FoundFile::State;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t limit = 1000;

struct Folder : TemporaryFolder {
    UniqueFd fd{::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};

    FoundFile read(const std::string& name, const Owners& owners = {}) const
    {
        return read_regular(fd.get(), name, limit, owners);
    }
    error_code replace(const std::string& name, std::string_view text, unsigned mode = 0600,
                       Durability durability = Durability::process) const
    {
        return replace_file(fd.get(), name, text, mode, durability);
    }
    bool opens(const std::string& name, Links links) const
    {
        error_code ec;
        const auto opened = open_beneath(fd.get(), name, O_RDONLY, links, ec);
        CHECK(static_cast<bool>(opened) == !ec);
        return static_cast<bool>(opened);
    }
    fs::perms mode(std::string_view name) const { return fs::status(*this / name).permissions(); }
};

int open_descriptors()
{
    int count = 0;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd"))
        count += !entry.path().empty();
    return count;
}

// Runs `what` in a child that has no openat2, and says whether it held there.
bool holds_without_openat2(const std::function<bool()>& what)
{
    const pid_t child = ::fork();
    if (child == 0) {
        sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const sock_fprog program{4, code};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
            ::_exit(77);
        ::_exit(what() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        MESSAGE("no seccomp filter here; not tested");
        return true;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_SUITE_BEGIN("safe files");

TEST_CASE_FIXTURE(Folder, "a file is read whole, up to exactly the limit")
{
    CHECK(read("f").state == State::absent);
    CHECK(read("no/such/folder").state == State::absent);
    write_file(*this / "f", "");
    CHECK(read("f").state == State::present);
    CHECK(read("f").text.empty());
    write_file(*this / "f", std::string(limit, 'x'));
    CHECK(read("f").text == std::string(limit, 'x'));
    CHECK(read("f").problem.empty());
    write_file(*this / "f", std::string(limit + 1, 'x'));
    CHECK(read("f").state == State::too_large);
    CHECK(read("f").text.empty());
    CHECK(read("f").stamp.size == limit + 1);
}

TEST_CASE_FIXTURE(Folder, "a huge sparse file costs nothing")
{
    write_file(*this / "f", "{");
    REQUIRE(::truncate((*this / "f").c_str(), off_t{1} << 40) == 0);
    const auto found = read("f");
    CHECK(found.state == State::too_large);
    CHECK(found.text.capacity() < 100);
}

TEST_CASE_FIXTURE(Folder, "what is no regular file is never read, and named")
{
    write_file(*this / "target", "secret");
    for (const auto kind : all_planted) {
        CAPTURE(name_of(kind));
        if (!plant(kind, *this / "f", *this / "target")) {
            MESSAGE("may not create ", name_of(kind));
            continue;
        }
        const auto found = read("f");
        CHECK(found.state == State::unsafe);
        CHECK(found.text.empty());
        const auto said = kind == Planted::link || kind == Planted::dangling_link
                              ? "a symbolic link"
                              : std::string(name_of(kind));
        CHECK(found.problem.find(said) != std::string::npos);
        fs::remove(*this / "f");
    }
}

TEST_CASE_FIXTURE(Folder, "a link anywhere in the path is refused")
{
    write_file(*this / "real/f", "text");
    fs::create_directory_symlink("real", *this / "link");
    CHECK(read("real/f").text == "text");
    CHECK(read("link/f").state == State::unsafe);
    CHECK(read("real/../real/f").text == "text");  // stays beneath
    CHECK(read("../" + path().filename().string() + "/real/f").state == State::unsafe);
    CHECK(read((*this / "real/f").string()).state == State::unsafe);
}

TEST_CASE_FIXTURE(Folder, "another user's file is not accepted, unless its owner is allowed")
{
    if (::geteuid() != 0) return;
    write_file(*this / "f", "text");
    REQUIRE(::chown((*this / "f").c_str(), 12345, 12345) == 0);
    CHECK(read("f").state == State::unsafe);
    CHECK(read("f").problem == "it belongs to user 12345");
    CHECK(read("f", {1, 12345}).text == "text");
}

TEST_CASE_FIXTURE(Folder, "a file whose reader must wait for another process is left for later")
{
    write_file(*this / "f", "text");
    int ready[2];
    int done[2];
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(done, O_CLOEXEC) == 0);
    const pid_t holder = ::fork();
    if (holder == 0) {
        ::signal(SIGIO, SIG_IGN);  // told that somebody wants the file, it does not give way
        const int file = ::open((*this / "f").c_str(), O_RDWR);
        const char leased = ::fcntl(file, F_SETLEASE, F_WRLCK) == 0 ? 'y' : 'n';
        char byte = 0;
        (void)!::write(ready[1], &leased, 1);
        (void)!::read(done[0], &byte, 1);
        ::_exit(0);
    }
    char leased = 0;
    REQUIRE(::read(ready[0], &leased, 1) == 1);
    if (leased == 'y') {
        timespec before{};
        timespec after{};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        CHECK(read("f").state == State::unreadable);
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        CHECK(after.tv_sec - before.tv_sec < 5);  // the kernel would wait 45 s for the holder
    } else {
        MESSAGE("no leases on this file system; not tested");
    }
    (void)!::write(done[1], "x", 1);
    ::waitpid(holder, nullptr, 0);
    for (const int end : {ready[0], ready[1], done[0], done[1]}) ::close(end);
    CHECK(read("f").text == "text");
}

TEST_CASE_FIXTURE(Folder, "on request links are followed as long as they stay inside")
{
    TemporaryFolder outside;
    write_file(outside / "f", "secret");
    write_file(*this / "real/f", "text");
    fs::create_directory_symlink("real", *this / "inside");
    fs::create_directory_symlink(outside.path(), *this / "absolute");
    fs::create_directory_symlink(fs::path("..") / outside.path().filename(), *this / "relative");
    fs::create_directory_symlink("/proc/self/cwd", *this / "magic");
    fs::create_symlink("loop", *this / "loop");
    CHECK(opens("inside/f", Links::inside));
    CHECK_FALSE(opens("inside/f", Links::none));
    CHECK_FALSE(opens("absolute/f", Links::inside));
    CHECK_FALSE(opens("relative/f", Links::inside));
    CHECK_FALSE(opens("magic", Links::inside));
    CHECK_FALSE(opens("loop", Links::inside));
    CHECK_FALSE(opens("../" + outside.path().filename().string() + "/f", Links::inside));
}

TEST_CASE_FIXTURE(Folder,
                  "a link in an absolute path is an error of its own, with openat2 or without")
{
    write_file(*this / "real/f", "text");
    fs::create_directory_symlink("real", *this / "inside");
    fs::create_symlink("real/f", *this / "link");
    const auto errors_are_as_expected = [this] {
        const auto error_of = [this](const char* name) {
            error_code ec;
            const auto opened = open_without_links(*this / name, O_RDONLY, ec);
            return opened ? 0 : ec.value();
        };
        return error_of("real/f") == 0 && error_of("real") == 0 && error_of("inside/f") == ELOOP &&
               error_of("inside/none") == ELOOP && error_of("link") == ELOOP &&
               error_of("none") == ENOENT && error_of("real/f/f") == ENOTDIR;
    };
    CHECK(errors_are_as_expected());
    CHECK(holds_without_openat2(errors_are_as_expected));
}

TEST_CASE_FIXTURE(Folder, "without openat2 nothing more is let through")
{
    TemporaryFolder outside;
    write_file(outside / "f", "secret");
    write_file(*this / "real/f", "text");
    fs::create_directory_symlink("real", *this / "inside");
    fs::create_directory_symlink(outside.path(), *this / "out");
    fs::create_symlink("real/f", *this / "link");
    REQUIRE(::mkfifo((*this / "fifo").c_str(), 0600) == 0);
    CHECK(holds_without_openat2([&] { return read("real/f").text == "text"; }));
    CHECK(holds_without_openat2([&] { return read("none").state == State::absent; }));
    for (const std::string name : {"inside/f", "out/f", "link", "fifo", "real", "/etc/passwd"}) {
        CAPTURE(name);
        CHECK(holds_without_openat2([&] { return read(name).state == State::unsafe; }));
    }
    const auto upwards = "../" + outside.path().filename().string() + "/f";
    CHECK(holds_without_openat2([&] { return read(upwards).state == State::unsafe; }));
    CHECK(holds_without_openat2([&] {
        error_code ec;
        return !open_beneath(fd.get(), "out/f", O_PATH, Links::inside, ec) && ec;
    }));
}

TEST_CASE_FIXTURE(Folder, "a replaced file has its content and mode, whatever the umask")
{
    const auto old = ::umask(0077);
    for (const auto durability : {Durability::none, Durability::process, Durability::power}) {
        CHECK_FALSE(replace("private", "a", 0600, durability));
        CHECK_FALSE(replace("shared", "b", 0664, durability));
    }
    ::umask(old);
    CHECK(read_file(*this / "private") == "a");
    CHECK(mode("private") == fs::perms{0600});
    CHECK(mode("shared") == fs::perms{0664});
    CHECK(list_folder(fd.get(), 10).size() == 2);
}

TEST_CASE_FIXTURE(Folder, "what is in a file's place is replaced, never written through")
{
    write_file(*this / "target", "precious");
    for (const auto kind : all_planted) {
        CAPTURE(name_of(kind));
        if (!plant(kind, *this / "f", *this / "target")) continue;
        const auto ec = replace("f", "new");
        CHECK(static_cast<bool>(ec) == (kind == Planted::directory));
        if (!ec) CHECK(read("f").text == "new");
        CHECK(read_file(*this / "target") == "precious");
        CHECK_FALSE(fs::exists(*this / "target.none"));
        CHECK(list_folder(fd.get(), 10).size() == 2);  // no temporary either
        fs::remove(*this / "f");
    }
}

TEST_CASE_FIXTURE(Folder, "a reader sees the old file or the new one, never a mixture")
{
    const std::string one(500, '1');
    const std::string two(900, '2');
    REQUIRE_FALSE(replace("f", one));
    const pid_t writer = ::fork();
    if (writer == 0) {
        for (int i = 0; i < 500; ++i) (void)replace("f", i % 2 == 0 ? two : one);
        ::_exit(0);
    }
    int mixtures = 0;
    while (::waitpid(writer, nullptr, WNOHANG) == 0) {
        const auto text = read("f").text;
        if (text != one && text != two) ++mixtures;
    }
    CHECK(mixtures == 0);
}

TEST_CASE_FIXTURE(Folder, "removing what is not there is no error; a directory is one")
{
    CHECK_FALSE(remove_file(fd.get(), "none"));
    write_file(*this / "f", "");
    CHECK_FALSE(remove_file(fd.get(), "f/none"));
    write_file(*this / "target", "precious");
    fs::create_symlink("target", *this / "link");
    CHECK_FALSE(remove_file(fd.get(), "link"));
    CHECK(read_file(*this / "target") == "precious");
    fs::create_directory(*this / "d");
    CHECK(remove_file(fd.get(), "d"));
}

TEST_CASE_FIXTURE(Folder, "folders are made private, and not through links")
{
    TemporaryFolder outside;
    error_code ec;
    CHECK(make_folders(fd.get(), "a/b", ec));
    CHECK_FALSE(ec);
    CHECK(mode("a") == fs::perms{0700});
    CHECK(make_folders(fd.get(), "a/b", ec));
    CHECK_FALSE(make_folders(fd.get(), "a/../../b", ec));
    CHECK(ec == errc::unsafe_path);
    CHECK_FALSE(make_folders(fd.get(), "/tmp", ec));
    CHECK(ec == errc::unsafe_path);
    fs::create_directory_symlink(outside.path(), *this / "link");
    CHECK_FALSE(make_folders(fd.get(), "link/b", ec));
    CHECK(ec);
    CHECK(fs::is_empty(outside.path()));
    write_file(*this / "file", "");
    CHECK_FALSE(make_folders(fd.get(), "file/b", ec));
    CHECK(ec);
    // From an absolute path: what exists is the user's own doing.
    CHECK(make_folders(*this / "link/c/d", ec));
    CHECK_FALSE(ec);
    CHECK(fs::is_directory(outside / "c/d"));
}

TEST_CASE_FIXTURE(Folder, "a list of names is bounded")
{
    for (int i = 0; i < 20; ++i) write_file(path() / std::to_string(i), "");
    CHECK(list_folder(fd.get(), 100).size() == 20);
    CHECK(list_folder(fd.get(), 7).size() == 7);
    CHECK(list_folder(-1, 7).empty());
}

TEST_CASE_FIXTURE(Folder, "nothing keeps a descriptor open")
{
    write_file(*this / "f", "text");
    fs::create_symlink("f", *this / "link");
    fs::create_directory(*this / "d");
    const auto before = open_descriptors();
    error_code ec;
    for (const auto* name : {"f", "link", "d", "none", "../x"}) {
        (void)read(name);
        (void)replace(name, "text");
        (void)make_folders(fd.get(), name, ec);
        (void)list_folder(fd.get(), 1);
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("an estimate of descriptors sees a lower limit after a few hundred")
{
    DescriptorEstimate estimate;
    REQUIRE(estimate.has_left(1));
    const NoDescriptorsLeft none;
    int granted = 0;
    while (granted < 1000 && estimate.has_left(1)) ++granted;
    CHECK(granted <= 512);
}

TEST_CASE("a path becomes normal as by the standard library")
{
    for (const auto* text : {"/", "/a", "/a/b", "/a/", "/a/b/", "//a", "/a//b", "/a/./b", "/a/../b",
                             "/.", "/..", "/a/.", "/a/..", "/.a/b..", "/a/...", "a/b", "./a", ""})
        CHECK(normal_path(text) == fs::path(text).lexically_normal().native());
}

TEST_SUITE_END();
