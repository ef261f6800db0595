#pragma once

#include "autoexec/audit_logger.hpp"
#include "autoexec/config.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace autoexec::config {

/// Keeps an engine or an agent at what the files say: a configuration that is whole and valid is
/// taken, another one is refused, and the audit trail tells of both.
///
/// Thread safety: none; blocks for as long as reading the files takes.
class Reloader {
public:
    /// Gets the new configuration and the keys whose values differ.
    using Take = std::function<void(const AutoExecutionConfig&, const std::vector<std::string>&)>;
    /// Gets what is wrong with a configuration that was refused.
    using Refuse = std::function<void(const std::vector<Diagnostic>&)>;

    /// `manager` has loaded what holds now; it must outlive the reloader. No `audit`: nothing is
    /// recorded.
    Reloader(AutoExecutionConfigManager& manager, std::shared_ptr<AuditLogger> audit, Take take,
             Refuse refuse);

    /// Reads the files if one has changed; or, where `asked`, in any case.
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
