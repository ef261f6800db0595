#pragma once

#include "autoexec/audit_logger.hpp"
#include "autoexec/config.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace autoexec::config {

/// Reloads the configuration of an executor or agent when its files change. A valid configuration
/// takes effect as a whole, an invalid one is rejected; the audit log records both.
///
/// Not thread-safe. Blocks while it reads the files.
class Reloader {
public:
    /// Receives the new configuration and the keys of the settings that differ.
    using Take = std::function<void(const AutoExecutionConfig&, const std::vector<std::string>&)>;
    /// Receives the errors of a rejected configuration.
    using Refuse = std::function<void(const std::vector<Diagnostic>&)>;

    /// `manager` has loaded the current configuration, and must outlive the reloader. Null `audit`:
    /// nothing is recorded.
    Reloader(AutoExecutionConfigManager& manager, std::shared_ptr<AuditLogger> audit, Take take,
             Refuse refuse);

    /// Reads the files if one has changed, or in any case if `asked`.
    void look(bool asked = false);

private:
    void announce(const std::vector<std::string>& changed) const;
    void announce_refusal(const std::vector<Diagnostic>& diagnostics) const;

    AutoExecutionConfigManager& manager_;
    std::shared_ptr<AuditLogger> audit_;
    Take take_;
    Refuse refuse_;
    AutoExecutionConfig current_;
};

}  // namespace autoexec::config
