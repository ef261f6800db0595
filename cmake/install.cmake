# What `cmake --install` and `cpack` put where, and how others find it.
include(CMakePackageConfigHelpers)

install(TARGETS autoexec autoexec_testing EXPORT autoexec-targets FILE_SET HEADERS)
install(TARGETS autoexec_supervisor EXPORT autoexec-targets DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/autoexec)
if(TARGET autoexec-program)
    install(TARGETS autoexec-program)
    # systemd searches lib, not lib/TRIPLET, of /usr and /usr/local.
    file(GLOB user_units CONFIGURE_DEPENDS systemd/*.service)
    install(FILES ${user_units} DESTINATION lib/systemd/user)
endif()

# Documents. Links of the README that lead to what is not installed become plain text.
file(READ README.md readme)
string(REGEX REPLACE "\\[([^]]+)\\]\\((src|test|bench|include|CONTRIBUTING|Containerfile)[^)]*\\)" "\\1" readme "${readme}")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/README.md CONTENT "${readme}" @ONLY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS README.md)
install(FILES LICENSE ${PROJECT_BINARY_DIR}/README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY doc example DESTINATION ${CMAKE_INSTALL_DOCDIR} USE_SOURCE_PERMISSIONS PATTERN doc/site EXCLUDE)
install(FILES third_party/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/third_party)

# CMake packages.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/autoexec)
install(EXPORT autoexec-targets NAMESPACE autoexec:: DESTINATION ${package_dir})
set(package_supervisor ${CMAKE_INSTALL_LIBEXECDIR}/autoexec/autoexec-supervise)
configure_package_config_file(
    cmake/autoexecConfig.cmake.in ${PROJECT_BINARY_DIR}/autoexecConfig.cmake
    INSTALL_DESTINATION ${package_dir} PATH_VARS package_supervisor)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/autoexecConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/autoexecConfig.cmake ${PROJECT_BINARY_DIR}/autoexecConfigVersion.cmake
        DESTINATION ${package_dir})

# pkg-config, from wherever the folder with all of it was moved.
set(pc_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix ${pc_dir} ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")
cmake_path(APPEND pc_libdir "\${prefix}" ${CMAKE_INSTALL_LIBDIR})
cmake_path(APPEND pc_includedir "\${prefix}" ${CMAKE_INSTALL_INCLUDEDIR})
cmake_path(APPEND pc_libexecdir "\${prefix}" ${CMAKE_INSTALL_LIBEXECDIR})
configure_file(cmake/autoexec.pc.in autoexec.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/autoexec.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(NOT PROJECT_IS_TOP_LEVEL)
    return()
endif()

# The Debian package: `cpack` in a build folder. Its prefix is the one that was configured, since the
# library knows where its supervisor is installed.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME autoexec)
set(CPACK_PACKAGE_CONTACT "autoexec contributors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS git)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libboost-json1.81-dev, libyaml-cpp-dev, libspdlog-dev, libre2-dev, libssl-dev")
include(CPack)
