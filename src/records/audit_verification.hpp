#pragma once

#include "autoexec/audit.hpp"
#include "records/audit_chain.hpp"
#include "records/log_file.hpp"

#include <filesystem>
#include <string>

namespace autoexec::records {

/// Checks the chain of hashes through the audit log and its backups.
AuditVerification verify_audit(const Folder& folder, const AuditChain& chain);

/// The key in that file; empty for an empty path. Throws `system_error` (`errc::invalid_options`)
/// if it cannot be read, is too short, or others can read it.
std::string read_audit_key(const std::filesystem::path& file);

}  // namespace autoexec::records
