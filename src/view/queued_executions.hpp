#pragma once

#include "autoexec/view.hpp"
#include "queue/queue_folder.hpp"
#include "view/lazy_redactor.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace autoexec::view {

/// The detached executions that have not ended: those that wait in the queue, and those that an
/// engine has started.
class QueuedExecutions {
public:
    /// `redactor` must outlive this.
    QueuedExecutions(std::filesystem::path project_root, LazyRedactor& redactor);

    /// Begins to look at everything.
    void begin_sweep();
    /// Does a part of that, some ten system calls. False: nothing is left.
    bool step();

    /// Looks at one of them.
    void look_at(const std::string& id);

    /// The ids of those that have changed since the last call.
    [[nodiscard]] std::set<std::string> take_changed() { return std::exchange(changed_, {}); }
    /// The entry of one that waits. Null: it does not.
    [[nodiscard]] std::shared_ptr<const ExecutionEntry> find_waiting(const std::string& id) const;
    /// The entry of one that an engine has started. Null: none has, or it has ended.
    [[nodiscard]] std::shared_ptr<const ExecutionEntry> find_started(const std::string& id) const;

private:
    /// A folder of requests.
    struct Requests {
        struct Known {
            FileStamp stamp;
            std::shared_ptr<const ExecutionEntry> entry;  ///< Null: it is none.
        };
        const char* path;
        ExecutionState state;
        std::map<std::string, Known> known{};  ///< By id.
    };

    void list(Requests& requests);
    bool look_at_next(Requests& requests);
    void look_at(int folder, Requests& requests, const std::string& id);

    std::filesystem::path project_root_;
    queue::QueueFolder queue_;
    LazyRedactor& redactor_;
    Requests waiting_;
    Requests started_;
    std::set<std::string> changed_;

    // Of a sweep.
    Requests* listed_ = nullptr;  ///< Null: it is over.
    std::string id_;              ///< Before the next one.
};

}  // namespace autoexec::view
