# Puts files into a program as they are: writes a source that takes their bytes in and lists them.
#   embed_dashboard(TARGET FILE…)
function(embed_dashboard target)
    set(source ${CMAKE_BINARY_DIR}/DashboardFiles.cpp)
    set(bytes "")
    set(names "")
    set(entries "")
    set(index 0)
    foreach(file IN LISTS ARGN)
        get_filename_component(name ${file} NAME)
        string(APPEND bytes
            "    \"dashboard_${index}: .incbin \\\"${file}\\\"\\n\"\n"
            "    \"dashboard_${index}_end:\\n\"\n")
        string(APPEND names "extern const char dashboard_${index}[], dashboard_${index}_end[];\n")
        string(APPEND entries
            "        file(\"${name}\", dashboard_${index}, dashboard_${index}_end),\n")
        math(EXPR index "${index} + 1")
    endforeach()
    file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[
#include "agent/api/DashboardFiles.h"

asm(".section .rodata\n"
@bytes@    ".previous\n");

extern "C"
{
@names@}

namespace agent
{

static DashboardFile file(std::string_view name, const char* begin, const char* end)
{
    return {.name = name, .bytes = {begin, end}};
}

std::span<const DashboardFile> dashboardFiles()
{
    static const DashboardFile files[] = {
@entries@    };
    return files;
}

} // namespace agent
]])
    set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${ARGN}"
        SKIP_PRECOMPILE_HEADERS ON)
    target_sources(${target} PRIVATE ${source})
endfunction()
