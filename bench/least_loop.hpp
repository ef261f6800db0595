#pragma once

#include "files/safe_files.hpp"
#include "measure.hpp"
#include "protocol/control_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace autoexec::bench {

// As long as those of the executor.
inline const std::string command_text(900, 'c');
inline const std::string status_text(400, 's');
inline const std::string short_text(64, 'o');

/// One command by the file protocol, with as few system calls as its promises allow: executor and
/// agent are two processes to each other, without anything in memory between them, and all that
/// belongs to one worktree is found once.
///
/// Not contained: the agent's status `running`, since the agent beside it has none to report; the
/// folders and excludes of the project, which are made once.
class LeastLoop {
public:
    explicit LeastLoop(const std::filesystem::path& project)
        : project_(open_folder(AT_FDCWD, project.c_str())),
          common_(::openat(project_.get(), ".git", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
          executor_events_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
          agent_events_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
    {
        check(executor_events_ && agent_events_, "inotify_init1");
        for (const auto* name : {"metrics", "attempts", "audit"})
            records_.emplace_back(
                ::openat(project_.get(), name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    }

    void run(const std::filesystem::path& tree)
    {
        const auto agents = open_folder(AT_FDCWD, tree.c_str());
        watch(agent_events_, tree.c_str(), IN_MOVED_TO | IN_ONLYDIR);
        Executor executor;
        publish(executor, tree);
        run_agent(agents.get());
        accept(executor, tree);
    }

private:
    using Fd = files::UniqueFd;

    static constexpr const char* claim_name = "5f0c9a52-7f8f-4d3e-9d1b-2f6f3d0b9a11.json";
    static constexpr const char* temporary = ".cursor-skill-tmp.least";

    struct Executor {
        Fd tree, claims, offers;
        std::string offers_path;
        struct stat identity {};
        int tree_watch = -1;
        int claims_watch = -1;
    };

    static Fd open_folder(int at, const char* path)
    {
        Fd fd(::openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        check(static_cast<bool>(fd), path);
        return fd;
    }

    static int watch(const Fd& events, const char* path, std::uint32_t mask)
    {
        const int id = ::inotify_add_watch(events.get(), path, mask);
        check(id >= 0, "inotify_add_watch");
        return id;
    }

    static void drain(const Fd& events)
    {
        alignas(inotify_event) char buffer[4096];
        (void)::read(events.get(), buffer, sizeof buffer);
    }

    static Fd open_new(int folder, const char* name)
    {
        Fd fd(::openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        check(static_cast<bool>(fd), name);
        return fd;
    }

    static void write_new(int folder, const char* name, const std::string& text)
    {
        const auto fd = open_new(folder, name);
        check(::write(fd.get(), text.data(), text.size()) > 0, name);
    }

    static void publish_file(int folder, const char* name, const std::string& text)
    {
        write_new(folder, temporary, text);
        check(::renameat(folder, temporary, folder, name) == 0, name);
    }

    // A file that another user could have planted: beneath the folder, and checked after opening.
    static Fd open_checked(int folder, const char* name)
    {
        open_how how{};
        how.flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
        Fd fd(static_cast<int>(::syscall(SYS_openat2, folder, name, &how, sizeof how)));
        struct stat st {};
        check(fd && ::fstat(fd.get(), &st) == 0 && S_ISREG(st.st_mode), name);
        return fd;
    }

    static std::string read_checked(int folder, const char* name)
    {
        const auto fd = open_checked(folder, name);
        char text[4096];
        const auto size = ::read(fd.get(), text, sizeof text);
        check(size > 0, name);
        return {text, static_cast<std::size_t>(size)};
    }

    static void check_absent(int folder, const char* name)
    {
        check(::faccessat(folder, name, F_OK, 0) != 0 && errno == ENOENT, name);
    }

    static void check_empty(int folder, std::initializer_list<std::string_view> but_for)
    {
        alignas(dirent64) char buffer[4096];
        for (long size = 0; (size = ::getdents64(folder, buffer, sizeof buffer)) > 0;)
            for (long at = 0; at < size;) {
                const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
                const std::string_view name = entry->d_name;
                check(std::find(but_for.begin(), but_for.end(), name) != but_for.end(),
                      "left-over");
                at += entry->d_reclen;
            }
    }

    // The git directory of a linked worktree, relative to that of the repository, which must know
    // the worktree. Empty outside git.
    std::string git_dir_of(int tree) const
    {
        const Fd file(::openat(tree, ".git", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        if (!file) return {};
        char text[4096];
        const auto size = ::read(file.get(), text, sizeof text);
        check(size > 0, ".git");
        std::string_view path(text, static_cast<std::size_t>(size) - 1);
        path.remove_prefix(path.rfind('/') + 1);
        auto found = fmt::format("worktrees/{}/", path);
        (void)read_checked(common_.get(), (found + "gitdir").c_str());
        return found;
    }

    void publish(Executor& e, const std::filesystem::path& tree)
    {
        e.tree = open_folder(AT_FDCWD, tree.c_str());
        check(::fstat(e.tree.get(), &e.identity) == 0, "fstat");
        const auto git = git_dir_of(e.tree.get());
        if (git.empty()) {
            make_folder(e.tree.get(), control_files::claims_folder);
            e.claims = open_folder(e.tree.get(), control_files::claims_folder);
        } else {
            for (const auto* name : {"autoexec", "autoexec/claims", "autoexec/offers"})
                make_folder(common_.get(), (git + name).c_str());
            e.claims = open_folder(common_.get(), (git + "autoexec/claims").c_str());
            e.offers_path = offers_path(git, e.identity);
            make_folder(common_.get(), e.offers_path.c_str());
            e.offers = open_folder(common_.get(), e.offers_path.c_str());
            check(::flock(e.offers.get(), LOCK_EX | LOCK_NB) == 0, "locking the offers");
        }
        check(::flock(e.tree.get(), LOCK_EX | LOCK_NB) == 0, "locking the worktree");
        check_empty(e.tree.get(), {".", "..", ".git", control_files::claims_folder});
        publish_file(project_.get(), "running", short_text);
        write_new(e.tree.get(), control_files::metadata, status_text);
        write_new(e.tree.get(), control_files::simple, status_text);
        if (e.offers) write_new(e.offers.get(), "offer", short_text);
        publish_file(e.tree.get(), control_files::command, command_text);
        e.tree_watch = watch(executor_events_, tree.c_str(), IN_MOVED_TO | IN_ONLYDIR);
        const auto claims_path = fmt::format("/proc/self/fd/{}", e.claims.get());
        e.claims_watch = watch(executor_events_, claims_path.c_str(), IN_CREATE | IN_CLOSE_WRITE);
        check_absent(e.tree.get(), control_files::status);
        check_absent(e.claims.get(), claim_name);
    }

    void run_agent(int tree)
    {
        drain(agent_events_);
        const auto command = read_checked(tree, control_files::command);
        check(::flock(tree, LOCK_SH | LOCK_NB) != 0, "no executor holds the worktree");
        const auto git = git_dir_of(tree);
        if (!git.empty()) {
            struct stat identity {};
            check(::fstat(tree, &identity) == 0, "fstat");
            const auto offers = open_folder(common_.get(), offers_path(git, identity).c_str());
            check(::flock(offers.get(), LOCK_SH | LOCK_NB) != 0, "no executor makes offers");
            (void)read_checked(offers.get(), "offer");
        }
        const auto claims = git.empty()
                                ? open_folder(tree, control_files::claims_folder)
                                : open_folder(common_.get(), (git + "autoexec/claims").c_str());
        const auto claim = open_new(claims.get(), temporary);
        check(::flock(claim.get(), LOCK_EX | LOCK_NB) == 0 &&
                  ::write(claim.get(), status_text.data(), status_text.size()) > 0 &&
                  ::linkat(claims.get(), temporary, claims.get(), claim_name, 0) == 0 &&
                  ::unlinkat(claims.get(), temporary, 0) == 0,
              "claiming");
        check(read_checked(tree, control_files::command) == command, "another command");
        check_absent(tree, control_files::cancel);

        struct stat still {};
        check(::fstatat(tree, control_files::command, &still, AT_SYMLINK_NOFOLLOW) == 0 &&
                  ::unlinkat(tree, control_files::command, 0) == 0,
              "removing the command");
        publish_file(tree, control_files::status, status_text);
        check(::flock(claim.get(), LOCK_UN) == 0, "releasing");
    }

    void accept(Executor& e, const std::filesystem::path& tree)
    {
        drain(executor_events_);
        struct stat named {};
        check(::stat(tree.c_str(), &named) == 0 && named.st_ino == e.identity.st_ino, "lost");
        {
            const auto claim = open_checked(e.claims.get(), claim_name);
            char host[4096];
            check(::read(claim.get(), host, sizeof host) > 0 &&
                      ::flock(claim.get(), LOCK_SH | LOCK_NB) == 0,
                  "the claim");
        }
        (void)read_checked(e.tree.get(), control_files::status);
        check_absent(e.tree.get(), ".cursor/.cursor-skill-status.json");
        if (++ended_ % records_at_once == 0) write_records();

        (void)::inotify_rm_watch(executor_events_.get(), e.tree_watch);
        (void)::inotify_rm_watch(executor_events_.get(), e.claims_watch);
        (void)::unlinkat(e.tree.get(), control_files::command, 0);  // the agent has
        for (const auto* name :
             {control_files::simple, control_files::metadata, control_files::status})
            check(::unlinkat(e.tree.get(), name, 0) == 0, name);
        if (e.offers)
            check(::unlinkat(e.offers.get(), "offer", 0) == 0 &&
                      ::unlinkat(common_.get(), e.offers_path.c_str(), AT_REMOVEDIR) == 0,
                  "removing the offer");
        check(::unlinkat(e.claims.get(), claim_name, 0) == 0, "removing the claim");
        check(::unlinkat(project_.get(), "running", 0) == 0, "removing the record");
        if (!e.offers)
            check(::unlinkat(e.tree.get(), control_files::claims_folder, AT_REMOVEDIR) == 0,
                  "removing the claims");
        check(::flock(e.tree.get(), LOCK_UN) == 0, "unlocking");
    }

    static void make_folder(int base, const char* name)
    {
        check(::mkdirat(base, name, 0700) == 0, name);
    }

    static std::string offers_path(const std::string& git, const struct stat& tree)
    {
        return fmt::format("{}autoexec/offers/{}", git, tree.st_ino);
    }

    void write_records()
    {
        const std::string lines(records_at_once * 300, 'r');
        for (const auto& file : records_)
            check(::write(file.get(), lines.data(), lines.size()) > 0, "writing records");
    }

    static constexpr std::size_t records_at_once = 64;

    Fd project_, common_, executor_events_, agent_events_;
    std::vector<Fd> records_;
    std::size_t ended_ = 0;
};

}  // namespace autoexec::bench
