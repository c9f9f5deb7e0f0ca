"""GPT-2 and Llama, made from configurations with random weights, as sequence models."""

from typing import Any

import pytest
import torch

from farzi.models.adapters import HuggingFace

from .contract import LENGTH, VOCABULARY, assert_is_a_model, assert_is_exact

transformers: Any = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
SMALL = {"vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": None}


def gpt2(**settings: Any) -> Any:
    config = transformers.GPT2Config(**SMALL, n_positions=8, n_embd=8, n_layer=2, n_head=2, **settings)
    return transformers.GPT2LMHeadModel(config)


def llama(**settings: Any) -> Any:
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlamaConfig(
        **SMALL, **sizes, max_position_embeddings=8, num_key_value_heads=1, **settings
    )
    return transformers.LlamaForCausalLM(config)


CASES = [(make, tied) for make in (gpt2, llama) for tied in (True, False)]


@pytest.mark.parametrize(("make", "tied"), CASES)
def test_it_is_a_model(make: Any, tied: bool) -> None:
    torch.manual_seed(0)
    student = HuggingFace(make(tie_word_embeddings=tied)).double()
    assert (student.output_table is student.embedding) == tied
    assert student.length == 8
    assert_is_a_model(student)
    assert_is_exact(student)


@pytest.mark.parametrize(("make", "tied"), CASES)
def test_it_scores_as_the_model_itself(make: Any, tied: bool) -> None:
    torch.manual_seed(0)
    model = make(tie_word_embeddings=tied).eval()
    student = HuggingFace(model)
    events = torch.randint(1, VOCABULARY, (3, LENGTH))
    torch.testing.assert_close(student(events)[..., 1:], model(events).logits[..., 1:])


@pytest.mark.parametrize(("make", "tied"), CASES)
def test_weights_are_copied_to_a_model_of_the_library(make: Any, tied: bool) -> None:
    torch.manual_seed(0)
    student, model = HuggingFace(make(tie_word_embeddings=tied)), make(tie_word_embeddings=tied).eval()
    events = torch.randint(1, VOCABULARY, (3, LENGTH))
    assert not torch.allclose(student(events)[..., 1:], model(events).logits[..., 1:])
    student.copy_weights_to(model)
    torch.testing.assert_close(student(events)[..., 1:], model(events).logits[..., 1:])
