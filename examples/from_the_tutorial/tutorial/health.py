from fastapi import FastAPI

app = FastAPI()


# --8<-- [start:taught]
@app.get("/health")
async def health_check() -> dict[str, str]:
    return {"status": "OK"}


# --8<-- [end:taught]
