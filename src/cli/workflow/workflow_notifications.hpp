#pragma once

#include "autoexec/workflow_result.hpp"
#include "notify/notification.hpp"

#include <optional>
#include <string>

namespace autoexec::cli {

/// That a step has completed or failed, or waits for a person; nothing for other events.
std::optional<notify::Notification> notification_of(const WorkflowEvent& event,
                                                    const std::string& workflow_id);

/// The end of a run; `summary` is a line, or several.
notify::Notification notification_of(const WorkflowResult& result, const std::string& summary);

}  // namespace autoexec::cli
