-- The current version of every household is what dim_households says of it. A row here is a household
-- of dim_households that has no current version or whose current version says otherwise: the snapshot
-- was not taken since the survey was loaded (`dbt build --select snap_households+`), or the two models
-- fill in what is unknown in different ways. Versions of households that dim_households no longer has
-- are not looked at.
with households as (

    select
        household_id,
        source_system,
        age_band,
        age_band_order,
        income_band,
        income_band_order,
        home_ownership,
        marital_status,
        household_size,
        household_composition,
        kids_count,
        has_answered_survey,
        is_unknown
    from {{ ref('dim_households') }}

),

current_versions as (

    select
        household_id,
        source_system,
        age_band,
        age_band_order,
        income_band,
        income_band_order,
        home_ownership,
        marital_status,
        household_size,
        household_composition,
        kids_count,
        has_answered_survey,
        is_unknown
    from {{ ref('dim_household_versions') }}
    where is_current

)

select * from households
except
select * from current_versions
