#include "process/supervisor/descendants.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace autoexec::supervisor {
namespace {

struct Entry {
    pid_t pid = 0;
    pid_t parent = 0;
    pid_t group = 0;
    long long started = 0;  ///< Together with the id, it identifies a process uniquely.
    bool ours = false;
};

bool read_entry(pid_t pid, Entry& entry)
{
    char path[32];
    char text[1024];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const ssize_t size = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    if (size <= 0) return false;
    text[size] = '\0';

    // "pid (name) state parent group …": the name may contain any characters, including
    // parentheses.
    const char* name_end = std::strrchr(text, ')');
    if (!name_end || name_end + 4 > text + size) return false;
    constexpr int parent = 0, group = 1, started = 18, count = 19;
    long long fields[count];
    char* at = text + (name_end - text) + 3;
    for (auto& field : fields) field = std::strtoll(at, &at, 10);
    entry = {pid, static_cast<pid_t>(fields[parent]), static_cast<pid_t>(fields[group]),
             fields[started], false};
    return true;
}

// In a new PID namespace with the old /proc, the ids there belong to unrelated processes.
bool shows_our_namespace()
{
    char target[16] = {};
    return ::readlink("/proc/self", target, sizeof target - 1) > 0 &&
           std::atoi(target) == ::getpid();
}

/// An approximate snapshot of all processes: callers repeat until none is left.
class ProcessTable {
public:
    ProcessTable()
    {
        if (!shows_our_namespace()) return;
        DIR* folder = ::opendir("/proc");
        if (!folder) return;
        while (const dirent* file = ::readdir(folder)) {
            Entry entry;
            const pid_t pid = std::atoi(file->d_name);
            if (pid > 0 && read_entry(pid, entry) && !add(entry)) break;
        }
        ::closedir(folder);
        std::sort(begin(), end(), [](const Entry& a, const Entry& b) { return a.pid < b.pid; });
        mark_ours();
    }
    ~ProcessTable() { std::free(entries_); }
    ProcessTable(const ProcessTable&) = delete;
    ProcessTable& operator=(const ProcessTable&) = delete;

    Entry* begin() { return entries_; }
    Entry* end() { return entries_ + size_; }

private:
    bool add(const Entry& entry)
    {
        if (size_ == capacity_) {
            const std::size_t larger = capacity_ ? 2 * capacity_ : 1024;
            void* moved = std::realloc(entries_, larger * sizeof(Entry));
            if (!moved) return false;
            entries_ = static_cast<Entry*>(moved);
            capacity_ = larger;
        }
        entries_[size_++] = entry;
        return true;
    }

    bool is_ours(pid_t pid)
    {
        const Entry* found = std::lower_bound(
            begin(), end(), pid, [](const Entry& e, pid_t wanted) { return e.pid < wanted; });
        return found != end() && found->pid == pid && found->ours;
    }

    // Most children have larger ids than their parents, so two rounds usually suffice.
    void mark_ours()
    {
        const pid_t self = ::getpid();
        for (bool changed = true; changed;) {
            changed = false;
            for (Entry& entry : *this) {
                if (entry.ours || (entry.parent != self && !is_ours(entry.parent))) continue;
                entry.ours = changed = true;
            }
        }
    }

    Entry* entries_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

bool still_there(const Entry& entry)
{
    Entry now;
    return read_entry(entry.pid, now) && now.started == entry.started && now.group == entry.group;
}

}  // namespace

void signal_descendants(int signal, pid_t program)
{
    const pid_t own_group = ::getpgrp();
    ProcessTable table;
    if (table.begin() == table.end()) {
        ::kill(-program, signal);
        return;
    }
    for (Entry& entry : table) {
        if (!entry.ours) continue;
        // Ids are assigned in order: that of a process just seen alive is not reused yet.
        if (!still_there(entry)) continue;
        // A process that joined the supervisor's group must not make it signal itself; 0 and 1 have
        // special meanings in kill().
        if (entry.group == own_group || entry.group <= 1) {
            ::kill(entry.pid, signal);
            continue;
        }
        ::kill(-entry.group, signal);
        for (Entry& other : table) {
            if (other.group == entry.group) other.ours = false;
        }
    }
}

std::size_t count_descendants()
{
    ProcessTable table;
    return static_cast<std::size_t>(
        std::count_if(table.begin(), table.end(), [](const Entry& entry) { return entry.ours; }));
}

}  // namespace autoexec::supervisor
