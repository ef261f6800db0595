#pragma once

#include "autoexec/view.hpp"
#include "queue/queue_folder.hpp"
#include "view/entries.hpp"
#include "view/lazy_redactor.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace autoexec::view {

/// The detached executions that are not published: those that wait in the queue, and those that an
/// engine has started.
class QueuedExecutions {
public:
    /// `redactor` must outlive this.
    QueuedExecutions(std::filesystem::path project_root, LazyRedactor& redactor)
        : folder_(std::move(project_root)), redactor_(redactor)
    {}

    /// Reads again what has changed. To be called before published ones are read, so that one that
    /// is published meanwhile is not missed.
    void refresh();

    /// Adds those that are not in `published`.
    void add_to(EntryList<ExecutionEntry>& published) const;

private:
    struct Known {
        queue::Request request;
        std::shared_ptr<const ExecutionEntry> entry;
    };
    using ById = std::map<std::string, Known>;

    void update(ById& known, const std::vector<queue::Request>& requests, ExecutionState state);

    queue::QueueFolder folder_;
    LazyRedactor& redactor_;
    ById waiting_;
    ById started_;
};

}  // namespace autoexec::view
