# ablation on a processor, as a command: ablation/docs/machines.md says how to build and run it.
FROM python:3.13-slim

# Extras with commas between them, such as mlflow,parquet.
ARG EXTRAS=""

COPY pyproject.toml README.md LICENSE /source/
COPY ablation /source/ablation
RUN pip install --no-cache-dir "/source${EXTRAS:+[$EXTRAS]}" && rm -r /source

# The study is mounted, and belongs to a user of the host: whoever that is may write here and to the home folder.
RUN useradd --create-home --uid 1000 ablation && mkdir /study && chmod 1777 /study /home/ablation
ENV HOME=/home/ablation
USER 1000
WORKDIR /study
VOLUME /study

ENTRYPOINT ["ablation"]
CMD ["--help"]
