"""What the child of `translator` does; its file is run, and imports nothing of gridcnn.

The standard input is a line of JSON, a `translator.Job` without its text, and then the text.
"""

import json
import sys


def main() -> None:
    """Do the job that the standard input holds."""
    import llvmlite.binding as llvm

    job = json.loads(sys.stdin.buffer.readline())
    text = sys.stdin.buffer.read().decode()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(job["triple"]).create_target_machine(
        cpu=job["cpu"],
        features=job["features"],
        opt=2,
        reloc=job["relocation"],
        codemodel="small",
        abiname=job["abi"],
    )
    if job["form"] == "processors":
        return
    sys.stderr.write(f"layout: {machine.target_data}\n")
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = job["triple"], str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options()
    # The text already says what is a vector, and which loops are worth unrolling.
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    # No function may be left that is not called: it would only take memory.
    clean = llvm.create_new_module_pass_manager()
    clean.add_global_dead_code_eliminate_pass()
    clean.run(module, builder)
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
    if job["form"] == "assembly":
        sys.stdout.write(machine.emit_assembly(module))
    else:
        sys.stdout.buffer.write(machine.emit_object(module))


if __name__ == "__main__":
    main()
