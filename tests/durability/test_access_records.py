"""The access audit: complete from the first query on, readable only with permission."""

import pytest

from tests.support.product import Product

pytestmark = pytest.mark.slow


def audit(product: Product, role: str = "AUDITOR") -> list[dict]:
    return product.get("/api/v1/logs?kind=audit&order=asc", role)["data"]


def test_every_query_from_the_first_on_is_audited():
    with Product.running() as product:
        tokens = [product.token(role) for role in ("ADMIN", "NOC", "AUDITOR")]
        assert len(set(tokens)) == 3
        product.get("/api/v1/logs?actorId=jane@example.com", "NOC")

        first = product.wait(lambda: audit(product), 10)[0]
        product.get(f"/api/v1/logs/trace/{'4b' * 16}", "ADMIN")
        product.wait(lambda: "logs.trace" in {item["action"] for item in audit(product)}, 10)

        assert (first["action"], first["level"], first["kind"]) == ("logs.search", "INFO", "audit")
        attributes = first["metadata"]["attributes"]
        assert attributes["user.roles"] == ["NOC"]
        assert attributes["opslog.rows"] == 0
        assert "jane@example.com" not in str(first)
        status, _, _ = product.request(
            "/api/v1/logs?kind=audit", headers={"Authorization": f"Bearer {tokens[1]}"}
        )
        assert status == 403
        assert "logs.search" not in str(product.get("/api/v1/logs"))
