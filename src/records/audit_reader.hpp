#pragma once

#include "autoexec/audit.hpp"
#include "records/log_file.hpp"

#include <boost/json/object.hpp>

#include <vector>

/// Reads the audit log. Creates nothing.
namespace autoexec::records {

inline constexpr char audit_log_name[] = "execution_audit.log";

/// Newest first, with up to `max_backups` backups of the log.
std::vector<boost::json::object> read_audit(const Folder& folder, const AuditFilter& filter,
                                            int max_backups = AuditOptions().max_backups);

}  // namespace autoexec::records
