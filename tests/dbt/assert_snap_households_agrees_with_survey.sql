-- The current version of every household in the history is what the survey says of it today. A row
-- here is a household that says otherwise, is missing, or withdrew its answers without a version
-- that says so: an answer is not among the snapshot's check_cols, so its changes open no version.
-- Correct snapshots/snap_households.sql; the history that was missed cannot be made up for.
with in_survey as (

    select
        household_id,
        age_band,
        income_band,
        home_ownership,
        marital_status,
        household_size,
        household_composition,
        kids_count
    from {{ ref('int_shared__survey_answers_unioned') }}

),

current_versions as (

    select
        household_id,
        age_band,
        income_band,
        home_ownership,
        marital_status,
        household_size,
        household_composition,
        kids_count
    from {{ ref('snap_households') }}
    where
        dbt_valid_to is null
        and dbt_is_deleted = 'False'
        and {{ is_of_a_built_system() }}

),

not_in_history as (

    select * from in_survey
    except
    select * from current_versions

),

no_longer_in_survey as (

    select * from current_versions
    except
    select * from in_survey

)

select * from not_in_history
union all
select * from no_longer_in_survey
